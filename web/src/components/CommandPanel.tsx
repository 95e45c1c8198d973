import { useCallback, useId, useMemo, useState } from "react";
import { commandBody, commandForms, openForm } from "../model/command-form";
import { faultText } from "../model/messages";
import { fullName, type Prospect } from "../model/prospect";
import type { FieldRule, MessageForm } from "../gen/forms";
import { useCommand } from "../hooks/useCommand";
import { Banner } from "./Banner";
import { CommandForm } from "./CommandForm";
import type { Suggestion } from "./Field";
import { SidePanel } from "./SidePanel";

interface Props {
  /** Whom the person sees just now: suggested where a prospect's number is asked for. */
  prospects: readonly Prospect[];
  onClose: () => void;
}

/** The side panel in which any command of the contract is sent. */
export function CommandPanel({ prospects, onClose }: Props) {
  const id = useId();
  const [name, setName] = useState("");
  const [dirty, setDirty] = useState(false);
  const form = useMemo(() => {
    const chosen = commandForms.find((candidate) => candidate.name === name);
    return chosen && openForm(chosen);
  }, [name]);
  return (
    <SidePanel title="New command" subtitle={form && <>{form.name} · version {form.schemaVersion}</>} mayDismiss={!dirty} onClose={onClose}>
      <div className="field">
        <label htmlFor={id}>Command</label>
        <span className="select">
          <select id={id} value={name} onChange={(event) => setName(event.target.value)}>
            <option value="" disabled>Choose what to do…</option>
            {commandForms.map((candidate) => <option key={candidate.name} value={candidate.name}>{candidate.title}</option>)}
          </select>
        </span>
      </div>
      {form && <Chosen key={form.name} form={form} prospects={prospects} onClose={onClose} onDirty={setDirty} />}
    </SidePanel>
  );
}

const NOTHING = {};

function Chosen({ form, prospects, onClose, onDirty }: Props & { form: MessageForm; onDirty: (dirty: boolean) => void }) {
  const { state, send } = useCommand({
    about: form.name,
    send: ({ api }, values, commandId) => api.sendCommand(form.name, commandBody(form, values, commandId)),
    done: () => `${form.title}: done.`,
    failed: () => `${form.title}: not done.`,
    onDone: onClose,
  });
  const people = useMemo(() => prospects.map(toSuggestion), [prospects]);
  const suggest = useCallback((rule: FieldRule) => (isProspect(rule) ? people : []), [people]);
  return (
    <>
      {state.phase === "conflict" && <Banner tone="warn">{faultText("version_conflict", undefined)}</Banner>}
      <CommandForm form={form} initial={NOTHING} state={state} submitLabel={form.title} needsChange={false} suggest={suggest}
        onSubmit={(values) => void send(values)} onCancel={onClose} onDirty={onDirty} />
    </>
  );
}

function isProspect(rule: FieldRule): boolean {
  return rule.type === "id" && /prospectid$/i.test(rule.name);
}

function toSuggestion(prospect: Prospect): Suggestion {
  return { value: String(prospect.prospectId), label: `${fullName(prospect)} · ${prospect.email}` };
}
