// Bytes in, plain values out; no socket, no clock. Inside protobuf-es an int64 is a bigint, and JSON.stringify and
// query keys throw on those: every event leaves here with numbers, and only positions stay bigint (inside core/).
import { create, fromBinary, toBinary, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampDate, type Timestamp } from "@bufbuild/protobuf/wkt";
import type { Envelope } from "../gen/events/v1/envelope_pb";
import { ClientFrameSchema, ServerFrameSchema, type ServerFrame } from "../gen/events/v1/stream_pb";
import { files } from "../gen/registry";

export const SUBPROTOCOL = "events.v1.protobuf";

export type Plain = string | number | boolean | null | Plain[] | { [name: string]: Plain };

/** An event as the rest of the client sees it. */
export interface DomainEvent {
  eventId: string;
  type: string;
  subject: string;
  version: number;
  sequence: bigint;
  occurredAt: string;
  causationId: string;
  correlationId: string;
  issuedBy: string;
  /** The event's own message; undefined when this build does not know its type. */
  data: { [name: string]: Plain } | undefined;
}

/** Every message of the contract by its short name, which is what Envelope.event_type holds. */
const messages: ReadonlyMap<string, DescMessage> = new Map(
  files.flatMap((file) => file.messages).map((message) => [message.name, message]),
);

type Frame = NonNullable<MessageInitShape<typeof ClientFrameSchema>["frame"]>;
export type ClientFrameInit = Exclude<Frame, { case?: undefined }>;

export function encodeFrame(frame: ClientFrameInit): Uint8Array<ArrayBuffer> {
  return new Uint8Array(toBinary(ClientFrameSchema, create(ClientFrameSchema, { frame })));
}

/** Throws on bytes that are no frame. */
export function decodeFrame(bytes: Uint8Array): ServerFrame["frame"] {
  return fromBinary(ServerFrameSchema, bytes).frame;
}

export function decodeEvent(envelope: Envelope): DomainEvent {
  return {
    eventId: envelope.eventId,
    type: envelope.eventType,
    subject: envelope.subject,
    version: Number(envelope.subjectVersion),
    sequence: envelope.sequence,
    occurredAt: envelope.occurredAt === undefined ? "" : timestampDate(envelope.occurredAt).toISOString(),
    causationId: envelope.causationId,
    correlationId: envelope.correlationId,
    issuedBy: envelope.issuedBy,
    data: decodeData(envelope),
  };
}

function decodeData(envelope: Envelope): DomainEvent["data"] {
  const schema = messages.get(envelope.eventType);
  if (schema === undefined) return undefined;
  try {
    return toPlain(fromBinary(schema, envelope.data)) as { [name: string]: Plain };
  } catch {
    return undefined; // one event that cannot be read must not end the stream
  }
}

/** int64 become numbers (ids are at most 2^53-1), timestamps RFC 3339, bytes are left out. */
export function toPlain(value: unknown): Plain {
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  if (Array.isArray(value)) return value.map(toPlain);
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return null;
  const message = value as Record<string, unknown>;
  if (message.$typeName === "google.protobuf.Timestamp") return timestampDate(value as Timestamp).toISOString();
  const entries = Object.entries(message).filter(([name]) => !name.startsWith("$"));
  return Object.fromEntries(entries.map(([name, member]) => [name, toPlain(member)]));
}
