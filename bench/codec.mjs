// The same message in Node: JSON.parse and JSON.stringify, and @bufbuild/protobuf as the web client uses it. Reads the
// CloudEvent that `bench-codec --sample` prints, so that both measure the same bytes.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const web = createRequire(path.join(ROOT, 'web/package.json'));
const load = (name) => import(pathToFileURL(web.resolve(name)).href);
const { create, createFileRegistry, fromBinary, fromJsonString, toBinary, toJsonString } = await load('@bufbuild/protobuf');
const { FileDescriptorSetSchema } = await load('@bufbuild/protobuf/wkt');

const PASSES = 5, ROUNDS = 200, CALLS = 100;

function messages() {
  const folder = mkdtempSync(path.join(tmpdir(), 'events-bench-'));
  const file = path.join(folder, 'set');
  execFileSync('protoc', ['-I', path.join(ROOT, 'proto'), '-I', '/usr/include', '--include_imports', `--descriptor_set_out=${file}`, 'events/v1/prospect.proto', 'events/v1/envelope.proto'], { cwd: ROOT });
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(file)));
  rmSync(folder, { recursive: true });
  return (name) => registry.getMessage(`events.v1.${name}`);
}

/** An envelope of protobuf out of a CloudEvent: the names differ by case only, apart from four. */
function envelopeOf(schema, event, data) {
  const seconds = BigInt(Math.floor(Date.parse(event.time) / 1000));
  return create(schema, {
    eventId: event.id, eventType: event.type, schemaVersion: event.schemaversion, producer: event.source.split('/').pop(),
    occurredAt: { seconds, nanos: Number((/\.(\d+)/.exec(event.time)?.[1] ?? '0').padEnd(9, '0')) }, correlationId: event.correlationid, causationId: event.causationid,
    subject: event.subject, data, tenantId: event.tenantid, sequence: BigInt(event.sequence),
    traceparent: event.traceparent, watermark: BigInt(event.watermark), subjectVersion: BigInt(event.subjectversion),
    issuedBy: event.issuedby,
  });
}

function bestOf(run) {
  let best = Infinity;
  for (let i = 0; i < 5000; i++) run();
  for (let round = 0; round < PASSES * ROUNDS; round++) {
    const begun = process.hrtime.bigint();
    for (let i = 0; i < CALLS; i++) run();
    best = Math.min(best, Number(process.hrtime.bigint() - begun) / CALLS);
  }
  return best;
}

const schema = messages();
const cloudevent = JSON.parse(readFileSync(0, 'utf8'));
const json = JSON.stringify(cloudevent.data);
const object = cloudevent.data;
const Created = schema('ProspectCreated'), Envelope = schema('Envelope');
const created = fromJsonString(Created, json);
const envelope = envelopeOf(Envelope, cloudevent, toBinary(Created, created));
const bytes = toBinary(Envelope, envelope);

const ROWS = [
  ['node_json_parse', 'ProspectCreated, JSON.parse', () => JSON.parse(json)],
  ['node_json_stringify', 'ProspectCreated, JSON.stringify', () => JSON.stringify(object)],
  ['node_from_json', 'ProspectCreated, fromJsonString', () => fromJsonString(Created, json)],
  ['node_to_json', 'ProspectCreated, toJsonString', () => toJsonString(Created, created)],
  ['node_envelope_decode', 'envelope, fromBinary', () => fromBinary(Envelope, bytes)],
  ['node_envelope_encode', 'envelope, toBinary', () => toBinary(Envelope, envelope)],
];

console.log(`${'Node.js and @bufbuild/protobuf'.padEnd(34)} ${'ns'.padStart(10)}`);
const figures = { bench: 'codec-node', node: process.version };
for (const [name, title, run] of ROWS) {
  figures[name] = Math.round(bestOf(run));
  console.log(`${title.padEnd(34)} ${String(figures[name]).padStart(10)}`);
}
console.log(JSON.stringify(figures));
