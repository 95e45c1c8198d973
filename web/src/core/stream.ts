// Subscriptions on top of whatever connection there is: their filters, their positions, and the promise that an event
// reaches its handler once.
//
// Position: EventBatch.position says what was written up to; it belongs to the subscriptions the batch is for (`ids`),
// or to all live ones. What lies at or below a subscription's position is a repetition; above it events can arrive out
// of number order, so their ids are remembered until the position passes them.
import { decodeEvent, type ClientFrameInit, type DomainEvent } from "./codec";
import type { EventBatch, ResyncRequired, ServerFrame, Subscribed } from "../gen/events/v1/stream_pb";

export interface Start {
  /** undefined: live only, from now on. */
  after: bigint | undefined;
  epoch: string;
}

export interface SubscriptionOptions {
  /** Empty: all that the token permits. */
  eventTypes: readonly string[];
  subjects: readonly string[];
  start: Start;
  onEvent: (event: DomainEvent) => void;
  /** The subscription has ended: load anew and subscribe from there. */
  onResync: (reason: string) => void;
}

export interface Subscription {
  readonly position: bigint | undefined;
  readonly caughtUp: boolean;
  close: () => void;
}

const REJECTED = "CommandRejected"; // comes to its sender whatever the filters

class Entry implements Subscription {
  id = 0;
  caughtUp = false;
  position: bigint | undefined;
  epoch: string;
  readonly seen = new Map<string, bigint>();
  readonly options: SubscriptionOptions;
  readonly close: () => void;

  constructor(options: SubscriptionOptions, close: (entry: Entry) => void) {
    this.options = options;
    this.position = options.start.after;
    this.epoch = options.start.epoch;
    this.close = () => close(this);
  }

  take(event: DomainEvent): void {
    if (!matches(this.options, event)) return;
    const known = event.sequence > 0n && this.position !== undefined && event.sequence <= this.position;
    if (known || this.seen.has(event.eventId)) return;
    this.seen.set(event.eventId, event.sequence);
    this.options.onEvent(event);
  }

  moveTo(position: bigint): void {
    if (this.position !== undefined && position <= this.position) return;
    this.position = position;
    for (const [id, sequence] of this.seen) if (sequence <= position) this.seen.delete(id);
  }
}

export class EventStream {
  readonly #send: (frame: ClientFrameInit) => boolean;
  readonly #observe: (event: DomainEvent) => void;
  readonly #entries = new Set<Entry>();
  #nextId = 1;
  #connected = false;

  /** `observe` sees every event that arrives, repetitions included, before any subscription does. */
  constructor(send: (frame: ClientFrameInit) => boolean, observe: (event: DomainEvent) => void) {
    this.#send = send;
    this.#observe = observe;
  }

  subscribe(options: SubscriptionOptions): Subscription {
    const entry = new Entry(options, (closed) => this.#close(closed));
    this.#entries.add(entry);
    if (this.#connected) this.#announce(entry);
    return entry;
  }

  disconnected(): void {
    this.#connected = false;
    for (const entry of this.#entries) {
      entry.id = 0;
      entry.caughtUp = false;
    }
  }

  clear(): void {
    this.#entries.clear();
  }

  handle(frame: ServerFrame["frame"]): void {
    switch (frame.case) {
      case "welcome":
        this.#connected = true;
        for (const entry of this.#entries) {
          if (entry.position === undefined) entry.epoch = frame.value.epoch;
          this.#announce(entry);
        }
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
      case "error":
        console.warn(`events: ${frame.value.code}: ${frame.value.message}`);
        break;
      default: // pong, presence, and what later versions add
    }
  }

  #announce(entry: Entry): void {
    entry.id = this.#nextId;
    entry.caughtUp = false;
    this.#nextId += 1;
    const resume = entry.position === undefined ? {} : { resume: { case: "after" as const, value: entry.position } };
    this.#send({
      case: "subscribe",
      value: {
        id: entry.id,
        eventTypes: [...entry.options.eventTypes],
        subjects: [...entry.options.subjects],
        epoch: entry.epoch,
        ...resume,
      },
    });
  }

  #subscribed({ id, position, caughtUp }: Subscribed): void {
    const entry = this.#byId(id);
    if (entry === undefined) return;
    entry.caughtUp = caughtUp;
    entry.position ??= position;
  }

  #events(batch: EventBatch): void {
    const receivers = [...this.#entries].filter((entry) =>
      batch.ids.length > 0 ? batch.ids.includes(entry.id) : entry.caughtUp,
    );
    for (const envelope of batch.events) {
      const event = decodeEvent(envelope);
      this.#observe(event);
      for (const entry of receivers) entry.take(event);
    }
    for (const entry of receivers) entry.moveTo(batch.position);
  }

  #resync({ id, reason }: ResyncRequired): void {
    if (reason === "lagging") return; // the server continues by itself from what we have
    const ended = [...this.#entries].filter((entry) => id === 0 || entry.id === id);
    for (const entry of ended) this.#entries.delete(entry);
    for (const entry of ended) entry.options.onResync(reason);
  }

  #close(entry: Entry): void {
    if (!this.#entries.delete(entry) || entry.id === 0) return;
    this.#send({ case: "unsubscribe", value: { id: entry.id } });
  }

  #byId(id: number): Entry | undefined {
    return [...this.#entries].find((entry) => entry.id === id);
  }
}

/** The server's own rule, needed here too: a live batch carries the events of all live subscriptions together. */
export function matches(
  filter: Pick<SubscriptionOptions, "eventTypes" | "subjects">,
  event: Pick<DomainEvent, "type" | "subject">,
): boolean {
  if (event.type === REJECTED) return true;
  if (filter.eventTypes.length > 0 && !filter.eventTypes.includes(event.type)) return false;
  return filter.subjects.length === 0 || filter.subjects.some((subject) => subjectMatches(subject, event.subject));
}

function subjectMatches(pattern: string, subject: string): boolean {
  return pattern.endsWith("/*") ? subject.startsWith(pattern.slice(0, -1)) : pattern === subject;
}
