// Pure: what one event does to one loaded list. The rule everywhere: a row never goes back to a lower version.
import { PAGE_SIZE } from "./api";
import { messageForms } from "../gen/forms";
import type { DomainEvent } from "../core/codec";
import type { Prospect, ProspectFilter, ProspectPage } from "./prospect";

/** The shape of TanStack's InfiniteData. */
export interface ProspectList {
  pages: ProspectPage[];
  pageParams: unknown[];
}

/** What an event says about a prospect. */
export interface Change {
  sequence: bigint;
  created: boolean;
  /** It is gone: the event ends its subject, and of the fields only id and version mean anything. */
  ended: boolean;
  at: string;
  fields: Omit<Prospect, "createdAt" | "updatedAt">;
}

export interface Applied {
  list: ProspectList;
  /** The event matters to this list in a way that only the server can work out: its order or its search. */
  stale: boolean;
}

const LONGEST_FIRST_PAGE = 4 * PAGE_SIZE;

const SUBJECT = "prospect/";
const STATE = ["firstName", "lastName", "email", "phone", "notes"] as const;

/** By the contract alone: an event that ends its subject, or one that carries the whole state. undefined: something else. */
export function readChange(event: DomainEvent): Change | undefined {
  const { data } = event;
  const form = messageForms[event.type];
  if (data === undefined || form === undefined || !event.subject.startsWith(SUBJECT)) return undefined;
  const whole = STATE.every((name) => form.fields.some((field) => field.name === name));
  if (!whole && !form.endsSubject) return undefined;
  const text = (name: (typeof STATE)[number]): string => String(data[name] ?? "");
  return {
    sequence: event.sequence,
    created: event.version === 1,
    ended: form.endsSubject,
    at: event.occurredAt,
    fields: {
      prospectId: Number(event.subject.slice(SUBJECT.length)),
      firstName: text("firstName"),
      lastName: text("lastName"),
      email: text("email"),
      phone: text("phone"),
      notes: text("notes"),
      version: event.version,
    },
  };
}

export function applyChange(list: ProspectList, filter: ProspectFilter, change: Change): Applied {
  const old = find(list, change.fields.prospectId);
  if (change.ended) return { list: old === undefined ? list : without(list, old), stale: false };
  if (old !== undefined) return update(list, filter, old, change);
  if (shows(list, change)) return { list, stale: false };
  if (filter.query !== "") return { list, stale: true };
  if (!change.created) return { list, stale: !isByCreation(filter) };
  return insert(list, filter, toRow(change, change.at));
}

/** Applies again what arrived while the pages were under way, so that a slow answer never takes a change back. */
export function reconcile(list: ProspectList, filter: ProspectFilter, recent: readonly Change[]): ProspectList {
  return recent.reduce((current, change) => applyChange(current, filter, change).list, list);
}

function update(list: ProspectList, filter: ProspectFilter, old: Prospect, change: Change): Applied {
  if (old.version >= change.fields.version) return { list, stale: false };
  const row = toRow(change, old.createdAt);
  if (filter.sort === "-updatedAt" && filter.query === "") {
    return insert(without(list, old), filter, row);
  }
  const replaced = mapPages(list, (items) => items.map((item) => (item === old ? row : item)));
  return { list: replaced, stale: mayMove(filter, old, row) };
}

function insert(list: ProspectList, filter: ProspectFilter, row: Prospect): Applied {
  const [first, ...rest] = list.pages;
  if (first === undefined) return { list, stale: true };
  switch (filter.sort) {
    case "-createdAt":
    case "-updatedAt": {
      const key = filter.sort === "-createdAt" ? "createdAt" : "updatedAt";
      const at = first.items.findIndex((item) => Date.parse(item[key]) <= Date.parse(row[key]));
      const beyond = at < 0 && (rest.length > 0 || first.nextCursor !== undefined);
      if (beyond) return { list, stale: rest.length > 0 };
      const items = first.items.toSpliced(at < 0 ? first.items.length : at, 0, row);
      const pages = [{ ...first, items }, ...rest];
      return { list: { ...list, pages }, stale: items.length > LONGEST_FIRST_PAGE };
    }
    case "createdAt":
    case "updatedAt": {
      const last = list.pages.at(-1);
      if (last === undefined || last.nextCursor !== undefined) return { list, stale: false }; // further down
      const pages = list.pages.with(-1, { ...last, items: [...last.items, row] });
      return { list: { ...list, pages }, stale: false };
    }
    default: // names and e-mails: the collation is the server's
      return { list, stale: true };
  }
}

/** Whether the list was read after this change: then the row is absent because it lies on a page not loaded. */
function shows(list: ProspectList, change: Change): boolean {
  const first = list.pages[0];
  return first !== undefined && change.sequence > 0n && change.sequence <= BigInt(first.position);
}

function mayMove(filter: ProspectFilter, old: Prospect, row: Prospect): boolean {
  const named = old.firstName !== row.firstName || old.lastName !== row.lastName || old.email !== row.email;
  if (filter.query !== "" && named) return true;
  if (filter.sort.endsWith("createdAt")) return false;
  return filter.sort.endsWith("updatedAt") || named;
}

function isByCreation(filter: ProspectFilter): boolean {
  return filter.sort.endsWith("createdAt");
}

function find(list: ProspectList, id: number): Prospect | undefined {
  for (const page of list.pages) {
    const row = page.items.find((item) => item.prospectId === id);
    if (row !== undefined) return row;
  }
  return undefined;
}

function without(list: ProspectList, row: Prospect): ProspectList {
  return mapPages(list, (items) => items.filter((item) => item !== row));
}

function mapPages(list: ProspectList, change: (items: Prospect[]) => Prospect[]): ProspectList {
  return { ...list, pages: list.pages.map((page) => ({ ...page, items: change(page.items) })) };
}

function toRow(change: Change, createdAt: string): Prospect {
  return { ...change.fields, createdAt, updatedAt: change.at };
}
