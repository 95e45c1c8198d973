import { useState } from "react";
import { messageForms, type MessageForm } from "../gen/forms";
import { fullName, type Prospect } from "../model/prospect";
import { usePresence } from "../hooks/usePresence";
import { useSaveProspect } from "../hooks/useSaveProspect";
import { useServices } from "../hooks/useServices";
import { Banner } from "./Banner";
import { CommandForm } from "./CommandForm";
import { HistoryList } from "./HistoryList";
import { SidePanel } from "./SidePanel";
import { Time } from "./Time";

interface Props {
  /** What to edit, as the list shows it now (it may change while the panel is open); absent: a new one. */
  prospect?: Prospect | undefined;
  onClose: () => void;
}

/** The side panel in which a prospect is made or changed. */
export function ProspectPanel({ prospect, onClose }: Props) {
  const { api, cache, notices } = useServices();
  const [base, setBase] = useState(prospect); // what the form started from: its version goes with the command
  const [dirty, setDirty] = useState(false);
  const { state, send, reset } = useSaveProspect(base, onClose);
  const others = usePresence(base?.prospectId);
  const saving = state.phase === "sending" || state.phase === "accepted";
  const overtaken = base !== undefined && prospect !== undefined && prospect.version > base.version && !saving;

  const loadCurrent = async (): Promise<void> => {
    if (base === undefined) return;
    try {
      setBase(await api.getProspect(base.prospectId, cache.minPosition));
      reset();
    } catch {
      notices.add("bad", "The current values could not be loaded.");
    }
  };

  return (
    <SidePanel
      title={base === undefined ? "New prospect" : fullName(base)}
      subtitle={base && <>Added <Time iso={base.createdAt} /> · version {base.version}</>}
      mayDismiss={!dirty && !saving}
      onClose={onClose}
    >
      {others.length > 0 && (
        <p className="muted" role="status" data-testid="presence">
          Also looking at this: {others.join(", ")}
        </p>
      )}
      {(overtaken || state.phase === "conflict") && (
        <Banner tone="warn" action={{ label: "Load current values", run: () => void loadCurrent() }}>
          Somebody else changed this prospect in the meantime. Your changes are not saved.
        </Banner>
      )}
      <CommandForm
        key={base === undefined ? "new" : `${base.prospectId}:${base.version}`}
        form={formOf(base === undefined ? "CreateProspect" : "UpdateProspect")}
        initial={base === undefined ? {} : asValues(base)}
        state={state}
        submitLabel={base === undefined ? "Add prospect" : "Save changes"}
        needsChange={base !== undefined}
        onSubmit={(values) => void send(values)}
        onCancel={onClose}
        onDirty={setDirty}
      />
      {base !== undefined && <HistoryList prospectId={base.prospectId} />}
    </SidePanel>
  );
}

function formOf(name: string): MessageForm {
  const form = messageForms[name];
  if (form === undefined) throw new Error(`the contract has no ${name}`);
  return form;
}

function asValues(prospect: Prospect): Record<string, string> {
  return Object.fromEntries(Object.entries(prospect).map(([name, value]) => [name, String(value)]));
}
