// The REST calls the client makes. Tokens, the one retry after a 401, and problem+json are settled here.
import { ApiError, NetworkError, readProblem, toFaults, type FieldFault } from "./problem";
import { toProspect, type Prospect, type ProspectFilter, type ProspectPage } from "./prospect";
import { retryAfter, type SessionKeeper } from "./session";

/** The fields of the command's form by their JSON names; which there are is the contract's matter (gen/forms.ts). */
export type ProspectInput = Readonly<Record<string, string>>;

export type CommandStatus = "pending" | "succeeded" | "rejected" | "failed";

export interface CommandReport {
  commandId: string;
  status: CommandStatus;
  subject: string;
  code: string;
  errors: FieldFault[];
}

/** One type of GET /api/event-types. */
export interface EventType {
  name: string;
  schemaVersion: string;
  subject: string;
  fields: { name: string; label: string; personal?: boolean }[];
}

export interface HistoryEntry {
  eventId: string;
  eventType: string;
  occurredAt: string;
  issuedBy: string;
  subjectVersion: number;
  changedFields: string[];
}

interface RequestOptions {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

export const PAGE_SIZE = 50;
const NEVER_SHOWN = "EventSkipped"; // only moves positions; clients never get one

export class Api {
  readonly #session: SessionKeeper;
  readonly #fetch: typeof fetch;

  constructor(session: SessionKeeper, fetchFunction: typeof fetch) {
    this.#session = session;
    this.#fetch = fetchFunction;
  }

  /** Waits, by X-Events-Min-Position, until the read model shows `minPosition` (for at most 2 s). */
  async listProspects(
    filter: ProspectFilter,
    cursor: string | undefined,
    minPosition: bigint,
    signal?: AbortSignal,
  ): Promise<ProspectPage> {
    const search = new URLSearchParams({ sort: filter.sort, limit: String(PAGE_SIZE) });
    if (filter.query !== "") search.set("query", filter.query);
    if (cursor !== undefined) search.set("cursor", cursor);
    const headers = minPositionHeader(minPosition);
    const response = await this.#request("GET", `/api/prospects?${search}`, { headers, signal });
    const body = (await response.json()) as { items?: unknown[]; nextCursor?: string };
    return {
      items: (body.items ?? []).map(toProspect),
      nextCursor: body.nextCursor || undefined,
      position: response.headers.get("X-Events-Position") ?? "0",
      epoch: response.headers.get("X-Events-Epoch") ?? "",
    };
  }

  async getProspect(id: number, minPosition: bigint, signal?: AbortSignal): Promise<Prospect> {
    const headers = minPositionHeader(minPosition);
    const response = await this.#request("GET", `/api/prospects/${id}`, { headers, signal });
    return toProspect(await response.json());
  }

  async history(id: number, minPosition: bigint, signal?: AbortSignal): Promise<HistoryEntry[]> {
    const headers = minPositionHeader(minPosition);
    const response = await this.#request("GET", `/api/prospects/${id}/history?limit=20`, { headers, signal });
    const body = (await response.json()) as { items?: Record<string, unknown>[] };
    return (body.items ?? []).map(toHistoryEntry);
  }

  /** Accepted (202), not done: the outcome comes as an event or from getCommand. */
  async createProspect(input: ProspectInput, commandId: string): Promise<void> {
    await this.#request("POST", "/api/prospects", { body: { ...input, commandId } });
  }

  async updateProspect(id: number, version: number, input: ProspectInput, commandId: string): Promise<void> {
    await this.#request("PUT", `/api/prospects/${id}`, {
      body: { ...input, commandId },
      headers: { "If-Match": `"${version}"` },
    });
  }

  /** Any command of the contract. */
  async sendCommand(name: string, body: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#request("POST", `/api/commands/${name}`, { body });
  }

  async getCommand(commandId: string): Promise<CommandReport> {
    const response = await this.#request("GET", `/api/commands/${encodeURIComponent(commandId)}`);
    const body = (await response.json()) as Record<string, unknown>;
    return {
      commandId,
      status: (body.status as CommandStatus | undefined) ?? "pending",
      subject: String(body.subject ?? ""),
      code: String(body.code ?? ""),
      errors: toFaults(body.errors),
    };
  }

  async eventTypes(signal?: AbortSignal): Promise<EventType[]> {
    const response = await this.#request("GET", "/api/event-types", { signal });
    const body = (await response.json()) as { events?: EventType[] };
    return (body.events ?? []).filter((type) => type.name !== NEVER_SHOWN);
  }

  /** A single-use ticket for the WebSocket, which cannot carry an Authorization header. */
  async ticket(): Promise<string> {
    const response = await this.#request("POST", "/api/auth/ticket");
    return ((await response.json()) as { ticket: string }).ticket;
  }

  async #request(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const token = await this.#session.accessToken();
    let response = await this.#send(method, path, options, token);
    if (response.status === 401) {
      const renewed = await this.#session.refresh(token);
      response = await this.#send(method, path, options, renewed.accessToken);
    }
    if (!response.ok) throw new ApiError(await readProblem(response), retryAfter(response));
    return response;
  }

  async #send(method: string, path: string, options: RequestOptions, token: string): Promise<Response> {
    const headers: Record<string, string> = {
      Accept: "application/json",
      Authorization: `Bearer ${token}`,
      ...options.headers,
    };
    const init: RequestInit = { method, headers, cache: "no-store" };
    if (options.signal !== undefined) init.signal = options.signal;
    if (options.body !== undefined) {
      headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(options.body);
    }
    try {
      return await this.#fetch(path, init);
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new NetworkError(error);
    }
  }
}

function minPositionHeader(position: bigint): Record<string, string> {
  return position > 0n ? { "X-Events-Min-Position": position.toString() } : {};
}

function toHistoryEntry(json: Record<string, unknown>): HistoryEntry {
  const data = (json.data ?? {}) as Record<string, unknown>;
  return {
    eventId: String(json.eventId ?? ""),
    eventType: String(json.eventType ?? ""),
    occurredAt: String(json.occurredAt ?? ""),
    issuedBy: String(json.issuedBy ?? ""),
    subjectVersion: Number(json.subjectVersion ?? 0),
    changedFields: Array.isArray(data.changedFields) ? data.changedFields.map(String) : [],
  };
}
