// A collector of traces: takes what the programs export (OTLP over HTTP, protobuf), and reads it when somebody asks, so
// that a whole import does not wait for it. The numbers are those of opentelemetry-proto; other fields are passed over.
import { once } from 'node:events';
import http from 'node:http';

export const KINDS = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 };

/** Calls take[field](value) for each field: a Number, a BigInt (fixed 64) or a Buffer. */
function read(bytes, take) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('a varint is cut');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  const some = (length) => {
    if (at + length > bytes.length) throw new Error('a field is cut');
    return bytes.subarray(at, (at += length));
  };
  while (at < bytes.length) {
    const tag = varint(), wire = tag & 7;
    if (![0, 1, 2, 5].includes(wire)) throw new Error(`wire type ${wire}`);
    const value = wire === 0 ? varint() : wire === 1 ? some(8).readBigUInt64LE() : wire === 2 ? some(varint()) : some(4).readUInt32LE();
    take[tag >> 3]?.(value);
  }
}

const known = new Map(); // most attributes are the same in many thousand spans

function readPair(bytes) {
  let key, value;
  read(bytes, { 1: (text) => (key = text.toString()), 2: (any) => read(any, { 1: (text) => (value = text.toString()), 3: (number) => (value = number) }) });
  return [key, value];
}

function readAttribute(bytes, into) {
  const raw = bytes.toString('latin1');
  const pair = known.get(raw) ?? readPair(bytes);
  known.set(raw, pair);
  into[pair[0]] = pair[1];
}

function readLink(bytes) {
  const link = {};
  read(bytes, { 1: (id) => (link.traceId = id.toString('hex')), 2: (id) => (link.spanId = id.toString('hex')) });
  return link;
}

function readSpan(bytes, service) {
  const span = { service, parentSpanId: '', attributes: {}, links: [], status: 0 };
  read(bytes, {
    1: (id) => (span.traceId = id.toString('hex')), 2: (id) => (span.spanId = id.toString('hex')),
    4: (id) => (span.parentSpanId = id.toString('hex')), 5: (name) => (span.name = name.toString()), 6: (kind) => (span.kind = kind),
    7: (time) => (span.start = time), 8: (time) => (span.end = time), 9: (pair) => readAttribute(pair, span.attributes),
    13: (link) => span.links.push(readLink(link)), 15: (status) => read(status, { 2: (text) => (span.message = text.toString()), 3: (code) => (span.status = code) }),
  });
  return span;
}

export class Collector {
  requests = []; // { path, headers, body }
  resources = [];
  #spans = [];
  #read = 0; // how many of the requests

  static async start() {
    const it = new Collector();
    it.server = http.createServer(async (request, reply) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      it.requests.push({ path: request.url, headers: request.headers, body: Buffer.concat(chunks) });
      reply.writeHead(200, { 'content-type': 'application/x-protobuf' });
      reply.end();
    });
    await once(it.server.listen(0, '127.0.0.1'), 'listening');
    it.url = `http://127.0.0.1:${it.server.address().port}`;
    return it;
  }

  #readResource(bytes) {
    const resource = {}, scopes = [];
    read(bytes, {
      1: (fields) => read(fields, { 1: (pair) => readAttribute(pair, resource) }),
      2: (scope) => scopes.push(scope),
    });
    this.resources.push(resource);
    for (const scope of scopes) read(scope, { 2: (span) => this.#spans.push(readSpan(span, resource['service.name'])) });
  }

  /** Every span that has come: { service, name, kind, traceId, spanId, parentSpanId, start, end, attributes, links, status }. */
  spans() {
    for (; this.#read < this.requests.length; this.#read++) read(this.requests[this.#read].body, { 1: (resource) => this.#readResource(resource) });
    return this.#spans;
  }

  ofTrace(traceId) {
    return this.spans().filter((span) => span.traceId === traceId);
  }

  stop() {
    this.server.close();
    this.server.closeAllConnections();
  }
}
