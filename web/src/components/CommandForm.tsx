import { useEffect, useRef, type FormEvent } from "react";
import { faultText } from "../model/messages";
import type { FieldFault } from "../model/problem";
import { concerns } from "../model/validate";
import { useForm } from "../hooks/useForm";
import type { SendState, Values } from "../hooks/useCommand";
import type { FieldRule, MessageForm } from "../gen/forms";
import { Banner } from "./Banner";
import { Field, type Suggestion } from "./Field";

interface Props {
  form: MessageForm;
  initial: Readonly<Record<string, string>>;
  state: SendState;
  submitLabel: string;
  /** Saving without a change would say nothing. */
  needsChange: boolean;
  onSubmit: (values: Values) => void;
  onCancel: () => void;
  onDirty: (dirty: boolean) => void;
  /** What could be meant, for fields that are about something known. */
  suggest?: (rule: FieldRule) => readonly Suggestion[];
}

const NO_FAULTS: readonly FieldFault[] = [];
const BUSY: Partial<Record<SendState["phase"], string>> = {
  sending: "Sending…",
  accepted: "Accepted, waiting for confirmation…",
};

/** The form of a command: the fields, their order and their rules come from its description. */
export function CommandForm(props: Props) {
  const { form, initial, state, submitLabel, needsChange, onSubmit, onCancel, onDirty, suggest } = props;
  const element = useRef<HTMLFormElement>(null);
  const refused = state.phase === "refused" ? state.faults : NO_FAULTS;
  const fields = useForm(form, initial, refused);
  const busy = BUSY[state.phase];
  const { dirty } = fields;

  useEffect(() => onDirty(dirty), [dirty, onDirty]);
  useEffect(() => {
    if (refused.length > 0) focusFirstFault(element.current);
  }, [refused]);

  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (busy !== undefined) return;
    const values = fields.submit();
    if (values !== undefined) onSubmit(values);
    else requestAnimationFrame(() => focusFirstFault(element.current));
  };

  return (
    <form ref={element} className="form" onSubmit={submit} noValidate aria-busy={busy !== undefined}>
      <div className="form-fields">
        {state.phase === "refused" && state.message !== "" && <Banner tone="bad">{state.message}</Banner>}
        {refused.filter((fault) => !fields.rules.some((rule) => concerns(fault.field, rule.name))).map((fault) => (
          <Banner key={fault.field} tone="bad">{elsewhere(fault)}</Banner>
        ))}
        {fields.rules.map((rule) => {
          const fault = fields.fault(rule.name);
          return (
            <Field
              key={rule.name}
              rule={rule}
              value={fields.values[rule.name] ?? ""}
              fault={fault && faultText(fault.code, rule, fault.message)}
              disabled={busy !== undefined}
              suggestions={suggest?.(rule)}
              onChange={(value) => fields.change(rule.name, value)}
              onBlur={(event) => {
                // On the way to a button nothing may move under the pointer; submitting checks everything anyway.
                if (!(event.relatedTarget instanceof HTMLButtonElement)) fields.leave(rule.name);
              }}
            />
          );
        })}
      </div>
      <footer className="form-actions">
        <span className="form-status" role="status" aria-live="polite">
          {busy && <span className="spinner" aria-hidden="true" />}
          {busy}
        </span>
        <button type="button" className="button" onClick={onCancel}>
          {busy === undefined ? "Cancel" : "Close"}
        </button>
        <button type="submit" className="button button-primary" disabled={busy !== undefined || (needsChange && !dirty)}>
          {submitLabel}
        </button>
      </footer>
    </form>
  );
}

/** Of what the form does not ask for. */
function elsewhere({ field, code, message }: FieldFault): string {
  const text = faultText(code, undefined, message);
  return field === "" ? text : `${field}: ${text}`;
}

function focusFirstFault(form: HTMLFormElement | null): void {
  form?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
}
