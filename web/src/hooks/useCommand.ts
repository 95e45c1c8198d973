import { useEffect, useRef, useState } from "react";
import type { Outcome } from "../model/commands";
import { faultText } from "../model/messages";
import { ApiError, type FieldFault } from "../model/problem";
import type { Services } from "../model/services";
import { newUuid } from "../model/uuid";
import { useServices } from "./useServices";

export type Values = Readonly<Record<string, string>>;

export type SendState =
  | { phase: "idle" }
  | { phase: "sending" }
  | { phase: "accepted" }
  | { phase: "conflict" }
  | { phase: "refused"; message: string; faults: FieldFault[] };

export interface CommandOptions {
  /** Resolves once the command is accepted. */
  send: (services: Services, values: Values, commandId: string) => Promise<void>;
  /** What else, besides the values, makes it another command. */
  about: string;
  /** "Ada Lovelace was saved.", and what is told when it failed after the form had been closed. */
  done: (values: Values) => string;
  failed: (values: Values) => string;
  onDone: () => void;
}

export interface SendCommand {
  state: SendState;
  send: (values: Values) => Promise<void>;
  reset: () => void;
}

/** Sends a form as a command and follows it to its outcome. */
export function useCommand(options: CommandOptions): SendCommand {
  const services = useServices();
  const [state, setState] = useState<SendState>({ phase: "idle" });
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

  const send = async (values: Values): Promise<void> => {
    const content = JSON.stringify([options.about, values]);
    if (attempt.current.content !== content) attempt.current = { content, commandId: newUuid() };
    const { commandId } = attempt.current;
    setState({ phase: "sending" });
    try {
      const outcome = await services.commands.run(
        commandId,
        () => options.send(services, values, commandId),
        () => setState({ phase: "accepted" }),
      );
      attempt.current = { content: "", commandId: "" };
      const next = settle(services, outcome, options.done(values));
      setState(next);
      if (next.phase !== "idle" && !watched.current) services.notices.add("bad", options.failed(values));
      if (next.phase === "idle" && watched.current) options.onDone();
    } catch (error) {
      if (error instanceof ApiError && error.status < 500) attempt.current = { content: "", commandId: "" };
      setState(refusal(error));
    }
  };

  return { state, send, reset: () => setState({ phase: "idle" }) };
}

function settle(services: Services, outcome: Outcome, done: string): SendState {
  if (outcome.status === "succeeded") {
    if (outcome.by === "poll") void services.cache.reload(false); // the event did not come by the socket
    services.notices.add("good", done);
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

function rejectionFaults(code: string, errors: FieldFault[]): FieldFault[] {
  if (errors.length > 0) return errors;
  return code === "duplicate_email" ? [{ field: "email", code, message: "" }] : [];
}

function refusal(error: unknown): SendState {
  if (!(error instanceof ApiError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { phase: "refused", message: `${message} Nothing is lost: try again.`, faults: [] };
  }
  const { problem, retryAfterSeconds } = error;
  if (problem.errors.length > 0) return { phase: "refused", message: "", faults: problem.errors };
  const hint = retryAfterSeconds === undefined ? "" : ` Try again in ${retryAfterSeconds} s.`;
  return { phase: "refused", message: `${problem.detail || problem.title}.${hint}`.replace("..", "."), faults: [] };
}
