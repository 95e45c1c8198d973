// A command is accepted first (202) and decided later. The decision arrives as an event: one that this command caused,
// or CommandRejected. Asking GET /api/commands/{id} is only the net below, for when the socket is down.
import type { CommandReport } from "./api";
import type { DomainEvent } from "../core/codec";
import { toFaults, type FieldFault } from "./problem";

export type Outcome =
  | { status: "succeeded"; by: "event" | "poll" }
  | { status: "rejected"; code: string; message: string; errors: FieldFault[] }
  | { status: "failed" };

const FIRST_POLL_MS = 3_000;
const LONGEST_POLL_MS = 15_000;
const REMEMBERED = 200;

export class CommandTracker {
  readonly #getCommand: (commandId: string) => Promise<CommandReport>;
  readonly #waiting = new Map<string, (outcome: Outcome) => void>();
  /** An outcome may overtake the 202, or arrive while a lost answer is being asked for again. */
  readonly #recent = new Map<string, Outcome>();

  constructor(getCommand: (commandId: string) => Promise<CommandReport>) {
    this.#getCommand = getCommand;
  }

  /** Sends a command and resolves when it is decided; `accepted` runs in between. Rejects when sending fails. */
  async run(commandId: string, send: () => Promise<void>, accepted: () => void): Promise<Outcome> {
    await send();
    accepted();
    const known = this.#recent.get(commandId);
    if (known !== undefined) return known;
    return new Promise((resolve) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const settle = (outcome: Outcome): void => {
        clearTimeout(timer);
        this.#waiting.delete(commandId);
        resolve(outcome);
      };
      const poll = (wait: number): void => {
        timer = setTimeout(() => {
          void this.#ask(commandId).then((outcome) => {
            if (!this.#waiting.has(commandId)) return;
            if (outcome === undefined) poll(Math.min(LONGEST_POLL_MS, wait * 1.5));
            else settle(outcome);
          });
        }, wait);
      };
      this.#waiting.set(commandId, settle);
      poll(FIRST_POLL_MS);
    });
  }

  observe(event: DomainEvent): void {
    const decided = readOutcome(event);
    if (decided === undefined) return;
    this.#recent.set(decided.commandId, decided.outcome);
    if (this.#recent.size > REMEMBERED) {
      const oldest = this.#recent.keys().next();
      if (!oldest.done) this.#recent.delete(oldest.value);
    }
    this.#waiting.get(decided.commandId)?.(decided.outcome);
  }

  async #ask(commandId: string): Promise<Outcome | undefined> {
    try {
      const report = await this.#getCommand(commandId);
      if (report.status === "succeeded") return { status: "succeeded", by: "poll" };
      if (report.status === "failed") return { status: "failed" };
      if (report.status !== "rejected") return undefined;
      return { status: "rejected", code: report.code, message: "", errors: report.errors };
    } catch {
      return undefined; // the next poll, or the event
    }
  }
}

function readOutcome(event: DomainEvent): { commandId: string; outcome: Outcome } | undefined {
  if (event.type !== "CommandRejected") {
    if (event.causationId === "") return undefined;
    return { commandId: event.causationId, outcome: { status: "succeeded", by: "event" } };
  }
  const data = event.data ?? {};
  const outcome: Outcome = {
    status: "rejected",
    code: String(data.code ?? ""),
    message: String(data.message ?? ""),
    errors: toFaults(data.errors),
  };
  return { commandId: String(data.commandId || event.causationId), outcome };
}
