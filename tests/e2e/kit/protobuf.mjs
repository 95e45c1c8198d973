// A small protobuf reader and writer for the frames of the WebSocket. It is written from the .proto files by hand and
// shares nothing with the programs' own codecs, so it notices when the bytes on the wire change.
const MESSAGES = {
  ClientFrame: { 1: ['subscribe', 'Subscribe'], 2: ['unsubscribe', 'Unsubscribe'], 3: ['refreshToken', 'RefreshToken'], 4: ['ping', 'Ping'] },
  Subscribe: {
    1: ['eventTypes', 'string', true], 2: ['subjects', 'string', true], 3: ['after', 'int'], 4: ['id', 'int'], 5: ['epoch', 'string'],
    6: ['presence', 'int'],
  },
  RefreshToken: { 1: ['token', 'string'] },
  Unsubscribe: { 1: ['id', 'int'] },
  Ping: { 1: ['nonce', 'int'] },
  ServerFrame: {
    1: ['welcome', 'Welcome'], 2: ['events', 'EventBatch'], 3: ['subscribed', 'Subscribed'],
    4: ['resyncRequired', 'ResyncRequired'], 5: ['pong', 'Ping'], 6: ['error', 'Error'], 7: ['reconnect', 'Reconnect'],
    8: ['presenceChanged', 'PresenceChanged'],
  },
  PresenceChanged: { 1: ['subject', 'string'], 2: ['users', 'string', true], 3: ['complete', 'int'] },
  Welcome: {
    1: ['connectionId', 'string'], 2: ['serverTime', 'Timestamp'], 3: ['position', 'int'], 4: ['heartbeatSeconds', 'int'], 5: ['epoch', 'string'],
  },
  EventBatch: { 1: ['events', 'Envelope', true], 2: ['position', 'int'], 3: ['ids', 'int', true] },
  Subscribed: { 1: ['id', 'int'], 2: ['position', 'int'], 3: ['caughtUp', 'int'] },
  ResyncRequired: { 1: ['reason', 'string'], 2: ['position', 'int'], 3: ['id', 'int'] },
  Error: { 1: ['code', 'string'], 2: ['message', 'string'], 3: ['id', 'int'] },
  Reconnect: { 1: ['retryAfterMs', 'int'], 2: ['reason', 'string'] },
  Timestamp: { 1: ['seconds', 'int'], 2: ['nanos', 'int'] },
  Envelope: {
    1: ['eventId', 'string'], 2: ['eventType', 'string'], 3: ['schemaVersion', 'string'], 4: ['occurredAt', 'Timestamp'],
    5: ['producer', 'string'], 6: ['correlationId', 'string'], 7: ['causationId', 'string'], 8: ['subject', 'string'],
    9: ['data', 'bytes'], 10: ['tenantId', 'string'], 11: ['sequence', 'int'], 12: ['traceparent', 'string'],
    13: ['watermark', 'int'], 14: ['subjectVersion', 'int'], 15: ['issuedBy', 'string'],
  },
  ProspectCreated: {
    1: ['prospectId', 'int'], 2: ['firstName', 'string'], 3: ['lastName', 'string'], 4: ['email', 'string'],
    5: ['phone', 'string'], 6: ['notes', 'string'], 7: ['version', 'int'],
  },
  ProspectMerged: { 1: ['prospectId', 'int'], 2: ['mergedInto', 'int'], 3: ['version', 'int'] },
  CommandRejected: {
    1: ['commandId', 'string'], 2: ['commandType', 'string'], 3: ['code', 'string'], 4: ['message', 'string'],
    5: ['errors', 'FieldError', true], 6: ['subject', 'string'],
  },
  FieldError: { 1: ['field', 'string'], 2: ['code', 'string'], 3: ['message', 'string'] },
};
MESSAGES.ProspectUpdated = { ...MESSAGES.ProspectCreated, 8: ['changedFields', 'string', true] };

/** Another schema, for example of a newer version: { number: [member, type, repeated] }. */
export function define(name, fields) {
  MESSAGES[name] = fields;
}

/** What decode() knows of a message, to be built upon. */
export const fieldsOf = (name) => ({ ...MESSAGES[name] });

class Reader {
  at = 0;
  constructor(bytes) {
    this.bytes = bytes;
  }
  varint() {
    for (let value = 0n, shift = 0n; shift < 70n; shift += 7n) {
      if (this.at >= this.bytes.length) break;
      const byte = this.bytes[this.at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new Error('a varint is cut');
  }
  take(length) {
    if (this.at + length > this.bytes.length) throw new Error('a field is cut');
    return this.bytes.subarray(this.at, (this.at += length));
  }
}

/** An absent text is '', a number 0, a repeated field []. Numbers are Numbers (all of ours stay below 2^53). */
export function decode(name, bytes) {
  const fields = MESSAGES[name];
  const message = {};
  for (const [key, type, repeated] of Object.values(fields))
    if (repeated) message[key] = [];
    else if (type === 'int') message[key] = 0;
    else if (type === 'string') message[key] = '';
  const reader = new Reader(bytes);
  while (reader.at < bytes.length) {
    const tag = Number(reader.varint());
    readField(reader, fields[tag >> 3], tag & 7, message);
  }
  return message;
}

function readField(reader, field, wire, message) {
  if (wire !== 0 && wire !== 2) throw new Error(`wire type ${wire} stands in none of our messages`);
  const raw = wire === 0 ? reader.varint() : reader.take(Number(reader.varint()));
  if (!field) return;
  const [key, type, repeated] = field;
  if (repeated && type === 'int' && wire === 2) {
    for (const packed = new Reader(raw); packed.at < raw.length;) message[key].push(Number(packed.varint()));
    return;
  }
  const value = readValue(type, raw);
  if (repeated) message[key].push(value);
  else message[key] = value;
}

function readValue(type, raw) {
  if (type === 'int') return Number(BigInt.asIntN(64, raw));
  if (type === 'string') return new TextDecoder('utf-8', { fatal: true }).decode(raw);
  return type === 'bytes' ? Buffer.from(raw) : decode(type, raw);
}

function varint(value) {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

/** Writes what the object has; a member that is there is written even where it is 0 (oneof members need that). */
export function encode(name, object) {
  const parts = [];
  for (const [number, [key, type]] of Object.entries(MESSAGES[name])) {
    if (object[key] === undefined) continue;
    for (const value of [object[key]].flat()) {
      if (type === 'int') {
        parts.push(varint(number << 3), varint(value));
        continue;
      }
      const bytes = type === 'string' ? Buffer.from(value) : type === 'bytes' ? value : encode(type, value);
      parts.push(varint((number << 3) | 2), varint(bytes.length), bytes);
    }
  }
  return Buffer.concat(parts);
}
