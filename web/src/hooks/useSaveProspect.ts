import { fullName, type Prospect } from "../model/prospect";
import { useCommand, type SendCommand, type Values } from "./useCommand";

/** Saves a prospect's form. `base` is what the form started from; absent: a new one. */
export function useSaveProspect(base: Prospect | undefined, onDone: () => void): SendCommand {
  return useCommand({
    about: JSON.stringify([base?.prospectId, base?.version]),
    send: ({ api }, values, commandId) =>
      base === undefined ? api.createProspect(values, commandId) : api.updateProspect(base.prospectId, base.version, values, commandId),
    done: (values) => `${nameOf(values)} was ${base === undefined ? "added" : "saved"}.`,
    failed: (values) => `${nameOf(values)} was not saved.`,
    onDone,
  });
}

function nameOf(values: Values): string {
  return fullName({ firstName: values.firstName ?? "", lastName: values.lastName ?? "" });
}
