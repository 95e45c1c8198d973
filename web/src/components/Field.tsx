import { useId, type FocusEvent, type SelectHTMLAttributes } from "react";
import { codePoints, isNumber } from "../model/validate";
import type { FieldRule } from "../gen/forms";

export interface Suggestion {
  value: string;
  label: string;
}

interface Props {
  rule: FieldRule;
  value: string;
  fault: string | undefined;
  disabled: boolean;
  suggestions?: readonly Suggestion[] | undefined;
  onChange: (value: string) => void;
  onBlur: (event: FocusEvent) => void;
}

const AUTOCOMPLETE = "off"; // the form is about somebody else than the person at the keyboard

/** One field as the contract describes it: label, widget, limits, and what is wrong with it. */
export function Field({ rule, value, fault, disabled, suggestions = [], onChange, onBlur }: Props) {
  const id = useId();
  const common = {
    id,
    name: rule.name,
    value,
    disabled,
    autoComplete: AUTOCOMPLETE,
    required: rule.required,
    "aria-invalid": fault !== undefined,
    "aria-describedby": fault === undefined ? undefined : `${id}-fault`,
    onBlur,
  };
  return (
    <div className={fault === undefined ? "field" : "field field-bad"}>
      <label htmlFor={id}>
        {rule.label}
        {!rule.required && <span className="field-optional">{rule.repeated ? "optional, one a line" : "optional"}</span>}
      </label>
      {rule.type === "enum" ? (
        <Choice common={common} rule={rule} onChange={onChange} />
      ) : rule.type === "bool" ? (
        <input {...common} type="checkbox" checked={value === "true"} onChange={(event) => onChange(event.target.checked ? "true" : "")} />
      ) : rule.type === "timestamp" ? (
        <input {...common} type="datetime-local" step={1} onChange={(event) => onChange(event.target.value)} />
      ) : rule.widget === "textarea" ? (
        <textarea {...common} rows={rule.repeated ? 3 : 5} onChange={(event) => onChange(event.target.value)} />
      ) : (
        <input {...common} type={INPUT_TYPES[rule.widget]} inputMode={isNumber(rule) ? "numeric" : INPUT_MODES[rule.widget]}
          list={suggestions.length > 0 ? `${id}-list` : undefined} spellCheck={false} onChange={(event) => onChange(event.target.value)} />
      )}
      {suggestions.length > 0 && (
        <datalist id={`${id}-list`}>
          {suggestions.map((item) => <option key={item.value} value={item.value}>{item.label}</option>)}
        </datalist>
      )}
      <div className="field-foot">
        <p id={`${id}-fault`} className="field-fault" aria-live="polite">
          {fault}
        </p>
        <Remaining rule={rule} value={value} />
      </div>
    </div>
  );
}

function Choice({ common, rule, onChange }: Pick<Props, "rule" | "onChange"> & { common: SelectHTMLAttributes<HTMLSelectElement> }) {
  return (
    <span className="select">
      <select {...common} onChange={(event) => onChange(event.target.value)}>
        <option value="">{rule.required ? "Choose…" : "None"}</option>
        {rule.values?.map((value) => <option key={value} value={value}>{value.replaceAll("_", " ")}</option>)}
      </select>
    </span>
  );
}

/** type="email" would let the browser trim and punycode by its own rules before ours see the value. */
const INPUT_TYPES = { text: "text", email: "text", tel: "tel", hidden: "hidden", textarea: undefined } as const;
const INPUT_MODES = { text: "text", email: "email", tel: "tel", hidden: undefined, textarea: undefined } as const;

function Remaining({ rule, value }: Pick<Props, "rule" | "value">) {
  if (rule.maxLength === undefined) return null;
  const used = codePoints(value);
  if (used < rule.maxLength * 0.8) return null;
  return <span className="field-count">{`${used.toLocaleString("en")} / ${rule.maxLength.toLocaleString("en")}`}</span>;
}
