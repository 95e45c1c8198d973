/** A prospect as the client holds it: ids and versions are numbers, times are RFC 3339 strings. */
export interface Prospect {
  prospectId: number;
  firstName: string;
  lastName: string;
  email: string;
  phone: string;
  notes: string;
  version: number;
  createdAt: string;
  updatedAt: string;
}

/** The order of the list; "-" is descending. */
export type ProspectSort =
  | "createdAt" | "-createdAt"
  | "updatedAt" | "-updatedAt"
  | "lastName" | "-lastName"
  | "email" | "-email";

export const DEFAULT_SORT: ProspectSort = "-createdAt";

export interface ProspectFilter {
  query: string;
  sort: ProspectSort;
}

/** One page of the list, and the position in the log that it shows. */
export interface ProspectPage {
  items: Prospect[];
  nextCursor: string | undefined;
  position: string;
  epoch: string;
}

/** Fills what the JSON leaves out; a gateway may omit empty fields. */
export function toProspect(json: unknown): Prospect {
  const value = (json ?? {}) as Record<string, unknown>;
  const text = (name: string): string => (typeof value[name] === "string" ? (value[name] as string) : "");
  return {
    prospectId: Number(value.prospectId ?? 0),
    firstName: text("firstName"),
    lastName: text("lastName"),
    email: text("email"),
    phone: text("phone"),
    notes: text("notes"),
    version: Number(value.version ?? 0),
    createdAt: text("createdAt"),
    updatedAt: text("updatedAt"),
  };
}

export function fullName(prospect: { firstName: string; lastName: string }): string {
  return `${prospect.firstName} ${prospect.lastName}`.trim();
}
