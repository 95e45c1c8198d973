// Subscriptions on top of whatever connection there is: their filters, their positions, and the promise that an event
// reaches its handler once.
//
// Position: EventBatch.position says what was written up to; it belongs to the subscriptions the batch is for (`ids`),
// or to all live ones. What lies at or below a subscription's position is a repetition; above it events can arrive out
// of number order, so their ids are remembered until the position passes them.
import { decodeEvent, type ClientFrameInit, type DomainEvent } from "./codec";
import type { EventBatch, PresenceChanged, ResyncRequired, Subscribed, Error as ErrorFrame } from "../gen/events/v1/stream_pb";
import type { Frame } from "./transport";

/** Where a subscription begins: what a page was read at (X-Events-Position, X-Events-Epoch). */
export interface Start {
  after: bigint;
  /** The log that `after` belongs to; "": not known. */
  epoch: string;
}

/** "lagging" is not among them: there the server continues by itself. */
export type ResyncReason = "too_old" | "epoch" | "log_unavailable";

export interface Presence {
  subject: string;
  users: string[];
  /** False where other gateways may know of more. */
  complete: boolean;
}

export interface SubscriptionOptions {
  /** Empty or absent: all that the token permits. */
  types?: readonly string[];
  /** "prospect/12345", "prospect/*"; empty or absent: all. */
  subjects?: readonly string[];
  /** Absent: live only, from now on. `after: 0n`: from the oldest event that is kept. */
  start?: Start | undefined;
  onEvent: (event: DomainEvent) => void;
  /** Given: the server is asked who looks at the subjects, and tells it here. */
  onPresence?: (presence: Presence) => void;
  /** What had happened before is delivered; from here on it is live. Again after each reconnect, and after
   *  reading slowly. */
  onCaughtUp?: () => void;
  /** The log cannot continue from our position: load anew and say where the stream goes on. Asked again, with growing
   *  pauses, while it rejects. Absent: the subscription ends. */
  reload?: (reason: ResyncReason) => Promise<Start | undefined>;
  /** It is over, and nobody has closed it: a reason for a resync, or the code of an Error frame ("forbidden"). */
  onEnd?: (code: string) => void;
}

export type SubscriptionState = "waiting" | "catching_up" | "live" | "reloading" | "ended";

export interface Subscription {
  readonly state: SubscriptionState;
  /** Everything up to here was handed to onEvent; storing it, with the epoch, is always safe. */
  readonly position: bigint | undefined;
  readonly epoch: string;
  close: () => void;
}

const REJECTED = "CommandRejected"; // comes to its sender whatever the filters
const MOST = { subscriptions: 32, subjects: 256, types: 256 }; // the server's limits
const REMEMBERED = 10_000;

class Entry implements Subscription {
  id = 0;
  state: SubscriptionState = "waiting";
  position: bigint | undefined;
  epoch: string;
  readonly seen = new Map<string, bigint>();
  readonly options: SubscriptionOptions;
  readonly close: () => void;

  constructor(options: SubscriptionOptions, close: (entry: Entry) => void) {
    this.options = options;
    this.position = options.start?.after;
    this.epoch = options.start?.epoch ?? "";
    this.close = () => close(this);
  }

  get ended(): boolean {
    return this.state === "ended";
  }

  /** Whether the event is new to it. More ids than REMEMBERED are only there where the server holds much back. */
  takes(event: DomainEvent): boolean {
    if (!matches(this.options, event)) return false;
    const known = event.sequence > 0n && this.position !== undefined && event.sequence <= this.position;
    if (known || this.seen.has(event.eventId)) return false;
    this.seen.set(event.eventId, event.sequence);
    if (this.seen.size > REMEMBERED) this.seen.delete(this.seen.keys().next().value ?? "");
    return true;
  }

  moveTo(position: bigint): void {
    if (this.position !== undefined && position <= this.position) return;
    this.position = position;
    for (const [id, sequence] of this.seen) if (sequence <= position) this.seen.delete(id);
  }

  restart(start: Start | undefined): void {
    this.position = start?.after;
    this.epoch = start?.epoch ?? "";
    this.seen.clear();
    this.state = "waiting";
  }
}

export interface SubscriptionsOptions {
  send: (frame: ClientFrameInit) => boolean;
  /** Every event that arrives, repetitions and those of other filters included, before any subscription has it. */
  onArrival?: ((event: DomainEvent) => void) | undefined;
  /** A handler of the application threw, or the server complains about something that is no subscription's. */
  onError: (error: unknown) => void;
  /** Runs `work` after a pause that grows while it is asked for often. */
  later: (work: () => void) => void;
}

export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #entries = new Set<Entry>();
  #nextId = 1;
  #connectedTo: string | undefined; // the log's epoch

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  /** Throws RangeError where the server would refuse it for its size. */
  add(options: SubscriptionOptions): Subscription {
    if (this.#entries.size >= MOST.subscriptions) throw new RangeError(`at most ${MOST.subscriptions} subscriptions`);
    if ((options.subjects?.length ?? 0) > MOST.subjects) throw new RangeError(`at most ${MOST.subjects} subjects`);
    if ((options.types?.length ?? 0) > MOST.types) throw new RangeError(`at most ${MOST.types} types`);
    const entry = new Entry(options, (closed) => this.#close(closed));
    this.#entries.add(entry);
    this.#announce(entry);
    return entry;
  }

  disconnected(): void {
    this.#connectedTo = undefined;
    for (const entry of this.#entries) {
      entry.id = 0;
      if (entry.state !== "reloading") entry.state = "waiting";
    }
  }

  clear(): void {
    for (const entry of this.#entries) entry.state = "ended";
    this.#entries.clear();
    this.#connectedTo = undefined;
  }

  handle(frame: Frame): void {
    switch (frame.case) {
      case "welcome":
        this.#connectedTo = frame.value.epoch;
        for (const entry of this.#entries) this.#announce(entry);
        break;
      case "subscribed":
        this.#subscribed(frame.value);
        break;
      case "events":
        this.#events(frame.value);
        break;
      case "resyncRequired":
        this.#resync(frame.value);
        break;
      case "presenceChanged":
        this.#presence(frame.value);
        break;
      case "error":
        this.#error(frame.value);
        break;
      default: // what later versions add
    }
  }

  #announce(entry: Entry): void {
    if (this.#connectedTo === undefined || entry.state === "reloading") return;
    const { types = [], subjects = [], onPresence } = entry.options;
    if (entry.position === undefined) entry.epoch = this.#connectedTo;
    entry.id = this.#nextId;
    entry.state = "catching_up";
    this.#nextId += 1;
    const resume = entry.position === undefined ? {} : { resume: { case: "after" as const, value: entry.position } };
    this.#options.send({
      case: "subscribe",
      value: {
        id: entry.id,
        eventTypes: [...types],
        subjects: [...subjects],
        epoch: entry.epoch,
        presence: onPresence !== undefined,
        ...resume,
      },
    });
  }

  #subscribed({ id, position, caughtUp }: Subscribed): void {
    const entry = this.#byId(id);
    if (entry === undefined) return;
    entry.position ??= position;
    entry.epoch ||= this.#connectedTo ?? "";
    entry.state = caughtUp ? "live" : "catching_up"; // also of one that was live and has fallen behind
    if (!caughtUp) return;
    this.#guard(() => entry.options.onCaughtUp?.());
  }

  #events(batch: EventBatch): void {
    const receivers = [...this.#entries].filter((entry) =>
      batch.ids.length > 0 ? batch.ids.includes(entry.id) : entry.state === "live",
    );
    for (const envelope of batch.events) {
      const event = decodeEvent(envelope);
      this.#guard(() => this.#options.onArrival?.(event));
      for (const entry of receivers) {
        if (!entry.ended && entry.takes(event)) this.#guard(() => entry.options.onEvent(event));
      }
    }
    for (const entry of receivers) entry.moveTo(batch.position);
  }

  #presence({ subject, users, complete }: PresenceChanged): void {
    for (const entry of [...this.#entries]) {
      const { onPresence, subjects = [] } = entry.options;
      if (onPresence === undefined || !matchesSubject(subjects, subject)) continue;
      this.#guard(() => onPresence({ subject, users: [...users], complete }));
    }
  }

  #resync({ id, reason }: ResyncRequired): void {
    if (reason === "lagging") return; // the server continues by itself from what we have
    for (const entry of [...this.#entries]) {
      if (entry.id === 0 || (id !== 0 && entry.id !== id)) continue;
      entry.id = 0;
      if (entry.options.reload === undefined) {
        this.#end(entry, reason);
        continue;
      }
      entry.state = "reloading";
      this.#reloadLater(entry, reason as ResyncReason);
    }
  }

  #reloadLater(entry: Entry, reason: ResyncReason): void {
    this.#options.later(() => {
      if (!entry.ended) void this.#reload(entry, reason);
    });
  }

  async #reload(entry: Entry, reason: ResyncReason): Promise<void> {
    let start: Start | undefined;
    try {
      start = await entry.options.reload?.(reason);
    } catch (error) {
      this.#options.onError(error);
      if (!entry.ended) this.#reloadLater(entry, reason);
      return;
    }
    if (entry.ended) return;
    entry.restart(start);
    this.#announce(entry);
  }

  #error({ id, code, message }: ErrorFrame): void {
    const entry = id === 0 ? undefined : this.#byId(id);
    if (entry === undefined) this.#options.onError(new Error(`${code}: ${message}`));
    else this.#end(entry, code, message);
  }

  #end(entry: Entry, code: string, message = "its position cannot be resumed"): void {
    entry.state = "ended";
    this.#entries.delete(entry);
    if (entry.options.onEnd === undefined) this.#options.onError(new Error(`a subscription has ended: ${code}: ${message}`));
    this.#guard(() => entry.options.onEnd?.(code));
  }

  #close(entry: Entry): void {
    entry.state = "ended";
    if (!this.#entries.delete(entry) || entry.id === 0) return;
    this.#options.send({ case: "unsubscribe", value: { id: entry.id } });
  }

  #byId(id: number): Entry | undefined {
    return [...this.#entries].find((entry) => entry.id === id);
  }

  /** What an application's handler throws, at once or later, must not end the stream for the others. */
  #guard(call: () => unknown): void {
    try {
      const given = call();
      if (given instanceof Promise) given.catch((error: unknown) => this.#options.onError(error));
    } catch (error) {
      this.#options.onError(error);
    }
  }
}

/** The server's own rule, needed here too: a live batch carries the events of all live subscriptions together. */
export function matches(
  filter: Pick<SubscriptionOptions, "types" | "subjects">,
  event: Pick<DomainEvent, "type" | "subject">,
): boolean {
  const { types = [], subjects = [] } = filter;
  if (event.type === REJECTED) return true;
  return (types.length === 0 || types.includes(event.type)) && matchesSubject(subjects, event.subject);
}

function matchesSubject(patterns: readonly string[], subject: string): boolean {
  if (patterns.length === 0) return true;
  return patterns.some((pattern) => (pattern.endsWith("/*") ? subject.startsWith(pattern.slice(0, -1)) : pattern === subject));
}
