// The services of proto/ for clients of others: descriptors by protoc, messages by protobuf-es.
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createFileRegistry, create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import grpc from '@grpc/grpc-js';
import { ROOT } from './installation.mjs';

const file = path.join(tmpdir(), `events-rpc-${process.pid}.binpb`);
execFileSync('protoc', ['--include_imports', `--descriptor_set_out=${file}`, '-I.', '-I/usr/include', 'events/v1/services.proto',
  'grpc/health/v1/health.proto', 'grpc/reflection/v1/reflection.proto', 'grpc/reflection/v1alpha/reflection.proto'],
{ cwd: path.join(ROOT, 'proto') });
const set = readFileSync(file);
rmSync(file);

export const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, set));
export const service = (name) => registry.getService(name);
export const message = (name) => registry.getMessage(name);
export { grpc };

/** A client of @grpc/grpc-js for one service: calls take and give plain messages of protobuf-es. */
export function grpcClient(name, address, credentials = grpc.credentials.createInsecure(), options = {}) {
  const desc = service(name);
  const definition = Object.fromEntries(desc.methods.map((m) => [m.localName, {
    path: `/${desc.typeName}/${m.name}`,
    requestStream: m.methodKind === 'client_streaming' || m.methodKind === 'bidi_streaming',
    responseStream: m.methodKind === 'server_streaming' || m.methodKind === 'bidi_streaming',
    requestSerialize: (value) => Buffer.from(toBinary(m.input, value.$typeName ? value : create(m.input, value))),
    requestDeserialize: (bytes) => fromBinary(m.input, bytes),
    responseSerialize: (value) => Buffer.from(toBinary(m.output, value)),
    responseDeserialize: (bytes) => fromBinary(m.output, bytes),
  }]));
  const Client = grpc.makeGenericClientConstructor(definition, name);
  return new Client(address, credentials, options);
}

export function metadata(fields) {
  const m = new grpc.Metadata();
  for (const [name, value] of Object.entries(fields)) m.set(name, value);
  return m;
}

/** One unary call: { reply } or { error }, with the metadata that came (head, trailers). */
export function unary(client, method, request, fields = {}, options = {}) {
  return new Promise((done) => {
    let head, trailers;
    const finish = (more) => setImmediate(() => done({ head, trailers, ...more }));
    const call = client[method](request, metadata(fields), options, (error, reply) => finish({ error, reply }));
    call.on('metadata', (m) => (head = m.getMap()));
    call.on('status', (s) => (trailers = s.metadata));
  });
}

/** What google.rpc says in grpc-status-details-bin: { code, message, details: [{ type, ... }] }, read here by hand. */
export function details(error) {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  if (!bytes) return undefined;
  const status = fields(bytes);
  return (status[3] ?? []).map((any) => {
    const { 1: [url], 2: [value] } = fields(any);
    const type = text(url).replace('type.googleapis.com/google.rpc.', '');
    return { type, ...(type === 'BadRequest' ? badRequest(value) : errorInfo(value)) };
  });
}

const text = (bytes) => Buffer.from(bytes ?? []).toString();

export function badRequest(value) {
  const violations = (fields(value)[1] ?? []).map(fields);
  return { violations: violations.map((v) => ({ field: text(v[1]?.[0]), description: text(v[2]?.[0]), reason: text(v[3]?.[0]) })) };
}

export function errorInfo(value) {
  const info = fields(value);
  const entries = (info[3] ?? []).map(fields).map((e) => [text(e[1][0]), text(e[2][0])]);
  return { reason: text(info[1]?.[0]), domain: text(info[2]?.[0]), metadata: Object.fromEntries(entries) };
}

/** The fields of a message by number: bytes, or numbers. */
function fields(bytes) {
  const found = {};
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const length = varint();
    const value = (tag & 7) === 2 ? bytes.subarray(at, (at += length)) : length;
    (found[tag >> 3] ??= []).push(value);
  }
  return found;
}
