import { useEffect, useRef, useState } from "react";
import type { ProspectInput } from "../core/api";
import type { Outcome } from "../core/commands";
import { faultText } from "../core/messages";
import { ApiError, type FieldFault } from "../core/problem";
import { fullName, type Prospect } from "../core/prospect";
import type { Services } from "../core/services";
import { newUuid } from "../core/uuid";
import { useServices } from "./useServices";

export type SaveState =
  | { phase: "idle" }
  | { phase: "sending" }
  | { phase: "accepted" }
  | { phase: "conflict" }
  | { phase: "refused"; message: string; faults: FieldFault[] };

export interface Save {
  state: SaveState;
  save: (input: ProspectInput) => Promise<void>;
  reset: () => void;
}

/** Sends the form as a command and follows it to its outcome. `base` is what the form started from; absent: a new one. */
export function useSaveProspect(base: Prospect | undefined, onDone: () => void): Save {
  const services = useServices();
  const [state, setState] = useState<SaveState>({ phase: "idle" });
  // The id stays while the same content is tried again, so that an answer lost on the way cannot make a second one.
  const attempt = useRef({ content: "", commandId: "" });
  // The form may be closed before the outcome is known: then only a notice tells it.
  const watched = useRef(true);
  useEffect(() => {
    watched.current = true;
    return () => {
      watched.current = false;
    };
  }, []);

  const save = async (input: ProspectInput): Promise<void> => {
    const content = JSON.stringify([base?.prospectId, base?.version, input]);
    if (attempt.current.content !== content) attempt.current = { content, commandId: newUuid() };
    const { commandId } = attempt.current;
    setState({ phase: "sending" });
    try {
      const outcome = await services.commands.run(
        commandId,
        () => send(services, base, input, commandId),
        () => setState({ phase: "accepted" }),
      );
      attempt.current = { content: "", commandId: "" };
      const next = settle(services, base, input, outcome);
      setState(next);
      if (next.phase !== "idle" && !watched.current) services.notices.add("bad", `${nameOf(input)} was not saved.`);
      if (next.phase === "idle" && watched.current) onDone();
    } catch (error) {
      if (error instanceof ApiError && error.status < 500) attempt.current = { content: "", commandId: "" };
      setState(refusal(error));
    }
  };

  return { state, save, reset: () => setState({ phase: "idle" }) };
}

function send(services: Services, base: Prospect | undefined, input: ProspectInput, commandId: string): Promise<void> {
  if (base === undefined) return services.api.createProspect(input, commandId);
  return services.api.updateProspect(base.prospectId, base.version, input, commandId);
}

function settle(services: Services, base: Prospect | undefined, input: ProspectInput, outcome: Outcome): SaveState {
  if (outcome.status === "succeeded") {
    if (outcome.by === "poll") void services.cache.reload(false); // the event did not come by the socket
    services.notices.add("good", `${nameOf(input)} was ${base === undefined ? "added" : "saved"}.`);
    return { phase: "idle" };
  }
  if (outcome.status === "failed") {
    return { phase: "refused", message: "This could not be processed. An operator can see why.", faults: [] };
  }
  if (outcome.code === "version_conflict") return { phase: "conflict" };
  const faults = rejectionFaults(outcome.code, outcome.errors);
  const message = faults.length > 0 ? "" : faultText(outcome.code, undefined, outcome.message);
  return { phase: "refused", message, faults };
}

function nameOf(input: ProspectInput): string {
  return fullName({ firstName: input.firstName ?? "", lastName: input.lastName ?? "" });
}

function rejectionFaults(code: string, errors: FieldFault[]): FieldFault[] {
  if (errors.length > 0) return errors;
  return code === "duplicate_email" ? [{ field: "email", code, message: "" }] : [];
}

function refusal(error: unknown): SaveState {
  if (!(error instanceof ApiError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { phase: "refused", message: `${message} Nothing is lost: try again.`, faults: [] };
  }
  const { problem, retryAfterSeconds } = error;
  if (problem.errors.length > 0) return { phase: "refused", message: "", faults: problem.errors };
  const hint = retryAfterSeconds === undefined ? "" : ` Try again in ${retryAfterSeconds} s.`;
  return { phase: "refused", message: `${problem.detail || problem.title}.${hint}`.replace("..", "."), faults: [] };
}
