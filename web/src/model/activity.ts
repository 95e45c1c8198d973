// The latest events for the activity panel, newest first, and which types the panel wants.
import { messageForms } from "../gen/forms";
import type { DomainEvent } from "../core/codec";
import { Store } from "../core/store";

export interface Activity {
  eventId: string;
  type: string;
  subject: string;
  /** Decimal; a key and an order, not a number to count with. */
  sequence: string;
  occurredAt: string;
  issuedBy: string;
  /** What the event is about, in a word: a name, the reason of a rejection, or whom else it concerns. */
  detail: string;
}

const KEPT = 100;

export class ActivityFeed {
  readonly items = new Store<readonly Activity[]>([]);

  add(event: DomainEvent): void {
    this.items.update((items) => {
      if (items.some((item) => item.eventId === event.eventId)) return items;
      const at = items.findIndex((item) => BigInt(item.sequence) < event.sequence);
      return items.toSpliced(at < 0 ? items.length : at, 0, toActivity(event)).slice(0, KEPT);
    });
  }

  clear(): void {
    this.items.set([]);
  }
}

function toActivity(event: DomainEvent): Activity {
  return {
    eventId: event.eventId,
    type: event.type,
    subject: event.subject,
    sequence: event.sequence.toString(),
    occurredAt: event.occurredAt,
    issuedBy: event.issuedBy,
    detail: detail(event.data ?? {}) || others(event),
  };
}

function detail(data: NonNullable<DomainEvent["data"]>): string {
  const name = [data.firstName, data.lastName].filter((part) => typeof part === "string" && part !== "").join(" ");
  if (name !== "") return name;
  return typeof data.code === "string" ? data.code.replaceAll("_", " ") : "";
}

/** The ids in it besides its subject's own: "merged into 12". */
function others(event: DomainEvent): string {
  const ids = (messageForms[event.type]?.fields ?? []).filter((field) => field.type === "id");
  const told = ids.map((field) => [field.label.toLowerCase(), event.data?.[field.name]] as const);
  return told.filter(([, id]) => id && !event.subject.endsWith(`/${id}`)).map(([label, id]) => `${label} ${id}`).join(", ");
}
