import { useState } from "react";
import { checkField, checkMessage, concerns } from "../model/validate";
import type { FieldFault } from "../model/problem";
import type { FieldRule, MessageForm } from "../gen/forms";

type Values = Record<string, string>;
type Codes = Record<string, FieldFault | undefined>;

export interface FormState {
  rules: readonly FieldRule[];
  values: Values;
  dirty: boolean;
  fault: (name: string) => FieldFault | undefined;
  change: (name: string, value: string) => void;
  leave: (name: string) => void;
  /** The values as they would be sent, or undefined when something is wrong with them. */
  submit: () => Values | undefined;
}

/**
 * A form made of a message's rules. A field is checked when it is left and whenever it changes after that.
 * `refused` are the server's faults: each holds until its field is changed.
 */
export function useForm(form: MessageForm, initial: Readonly<Values>, refused: readonly FieldFault[]): FormState {
  const rules = form.fields.filter((rule) => rule.widget !== "hidden");
  const start = Object.fromEntries(rules.map((rule) => [rule.name, initial[rule.name] ?? ""]));
  const [values, setValues] = useState<Values>(start);
  const [faults, setFaults] = useState<Codes>({});
  const [checked, setChecked] = useState<ReadonlySet<string>>(new Set());
  const [answered, setAnswered] = useState<{ list: readonly FieldFault[]; gone: ReadonlySet<string> }>();
  const gone = answered?.list === refused ? answered.gone : new Set<string>();

  const check = (name: string, value: string): void => {
    const rule = rules.find((candidate) => candidate.name === name);
    if (rule === undefined) return;
    const { code } = checkField(rule, value);
    setFaults((old) => ({ ...old, [name]: code === undefined ? undefined : { field: name, code, message: "" } }));
  };

  return {
    rules,
    values,
    dirty: rules.some((rule) => values[rule.name] !== start[rule.name]),
    fault: (name) => {
      const own = faults[name];
      return own ?? (gone.has(name) ? undefined : refused.find((fault) => concerns(fault.field, name)));
    },
    change: (name, value) => {
      setValues((old) => ({ ...old, [name]: value }));
      setAnswered({ list: refused, gone: new Set([...gone, name]) });
      if (checked.has(name)) check(name, value);
    },
    leave: (name) => {
      if (values[name] === start[name] && !checked.has(name)) return; // just passing through
      setChecked((old) => new Set([...old, name]));
      check(name, values[name] ?? "");
    },
    submit: () => {
      const result = checkMessage({ ...form, fields: rules }, values);
      setChecked(new Set(rules.map((rule) => rule.name)));
      setFaults(Object.fromEntries(result.faults.map((fault) => [fault.field, { ...fault, message: "" }])));
      return result.faults.length === 0 ? result.values : undefined;
    },
  };
}
