// gRPC by bytes: frames, limits, encodings, time limits and heads that no client library would send.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { call, Client } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { frame, frames, RawRpc } from './kit/raw_rpc.mjs';
import { message } from './kit/rpc.mjs';
import { SLOW } from './kit/wait.mjs';

const LIMIT = { timeout: 30000 * SLOW };
const CHECK = '/grpc.health.v1.Health/Check';
const CREATE = '/events.v1.ProspectCommands/CreateProspect';
const LIST = '/events.v1.ProspectQueries/ListProspects';
const it = {};

before(async () => {
  it.installation = await Installation.start({ env: { EVENTS_ALLOWED_ORIGINS: 'https://app.example' } });
  it.demo = await Client.demo(it.installation);
  it.raw = new RawRpc(it.installation.plainUrl);
});
after(async () => {
  it.raw?.close();
  await it.installation?.stop();
});

const bytes = (name, value) => Buffer.from(toBinary(message(name), create(message(name), value)));
const request = (command, wait = false) => bytes('events.v1.CreateProspectRequest', { command: create(message('events.v1.CreateProspect'), command), wait });
const signed = (headers = {}) => ({ ...it.demo.authorization, ...headers });
let n = 0;
const person = (more = {}) => ({ firstName: 'Ada', lastName: 'Lovelace', email: `bytes-${++n}@example.org`, ...more });

test('a good call has a head, one message and trailers; a refusal is all in the head', LIMIT, async () => {
  const good = await it.raw.call(CHECK, { body: frame(Buffer.alloc(0)), headers: { 'x-correlation-id': 'c-1' } });
  assert.equal(good.status, 200);
  assert.equal(good.headers['content-type'], 'application/grpc');
  assert.equal(good.headers['content-length'], undefined);
  assert.equal(good.headers['x-correlation-id'], 'c-1');
  assert.deepEqual([good.endsWithHead, good.trailers['grpc-status']], [false, '0']);
  assert.deepEqual(frames(good.body), [{ flags: 0, message: Buffer.from([8, 1]) }]);
  const bad = await it.raw.call(CHECK, { body: frame(bytes('grpc.health.v1.HealthCheckRequest', { service: 'x' })) });
  assert.deepEqual([bad.status, bad.endsWithHead, bad.headers['grpc-status']], [200, true, '5']);
  assert.equal(bad.headers['grpc-message'], 'there is no such service');
  const proto = await it.raw.call(CHECK, { type: 'application/grpc+proto', body: frame(Buffer.alloc(0)) });
  assert.equal(proto.headers['content-type'], 'application/grpc+proto');
});

test('bytes come one by one, and frames know nothing of DATA frames', LIMIT, async () => {
  const whole = frame(request(person()));
  const one = await it.raw.call(CREATE, { headers: signed(), body: Array.from(whole, (_, i) => whole.subarray(i, i + 1)) });
  assert.equal(one.grpcStatus, 0, one.grpcMessage);
  const outcome = fromBinary(message('events.v1.CommandOutcome'), frames(one.body)[0].message);
  assert.equal((await it.demo.outcome(outcome.commandId)).status, 'succeeded');
});

// name, path, options, grpc-status
const bomb = gzipSync(Buffer.alloc(64 << 20));
const FAULTS = [
  ['no message', CHECK, { body: [] }, 12],
  ['two messages', CHECK, { body: [frame(Buffer.alloc(0)), frame(Buffer.alloc(0))] }, 12],
  ['a head that is cut', CHECK, { body: Buffer.from([0, 0, 0]) }, 13],
  ['a message that is cut', CHECK, { body: frame(Buffer.from([10, 1, 65])).subarray(0, 7) }, 13],
  ['a flag nobody knows', CHECK, { body: frame(Buffer.alloc(0), 2) }, 13],
  ['not protobuf', CHECK, { body: frame(Buffer.from([0xff, 0xff])) }, 3],
  ['not UTF-8', CHECK, { body: frame(Buffer.from([10, 1, 0xff])) }, 3],
  ['compressed, without saying how', CHECK, { body: frame(gzipSync(''), 1) }, 13],
  ['compressed, but it is not', CHECK, { body: frame(Buffer.from('plain'), 1), headers: { 'grpc-encoding': 'gzip' } }, 13],
  ['an encoding nobody knows', CHECK, { body: frame(Buffer.alloc(0)), headers: { 'grpc-encoding': 'snappy' } }, 12],
  ['compressed and good', CHECK, { body: frame(gzipSync(''), 1), headers: { 'grpc-encoding': 'gzip' } }, 0],
  ['announced as compressed, but plain', CHECK, { body: frame(Buffer.alloc(0)), headers: { 'grpc-encoding': 'gzip' } }, 0],
  ['a bomb of 64 MiB', CHECK, { body: frame(bomb, 1), headers: { 'grpc-encoding': 'gzip' } }, 8],
  ['a length above the limit', CHECK, { body: Buffer.from([0, 0, 0x40, 0, 1]) }, 8],
  ['5 MiB', CHECK, { body: frame(Buffer.alloc(5 << 20, 1)) }, 8],
  ['8 MiB', CHECK, { body: frame(Buffer.alloc(8 << 20, 1)) }, 8],
  ['no such call', '/events.v1.ProspectQueries/Nothing', { body: frame(Buffer.alloc(0)) }, 12],
  ['no such service', '/a.b/C', { body: frame(Buffer.alloc(0)) }, 12],
  ['no path of a call at all', '/api/prospects', { body: frame(Buffer.alloc(0)) }, 12],
  ['a time limit without a unit', CHECK, { headers: { 'grpc-timeout': '10' }, body: frame(Buffer.alloc(0)) }, 3],
  ['a time limit of nine digits', CHECK, { headers: { 'grpc-timeout': '123456789S' }, body: frame(Buffer.alloc(0)) }, 3],
  ['no time', CHECK, { headers: { 'grpc-timeout': '0m' }, body: frame(Buffer.alloc(0)) }, 4],
  ['all the time there is', CHECK, { headers: { 'grpc-timeout': '99999999H' }, body: frame(Buffer.alloc(0)) }, 0],
  ['unknown field in a question', CHECK, { body: frame(Buffer.from([0x98, 6, 1])) }, 0],
  ['no token', CREATE, { body: frame(Buffer.alloc(0)) }, 16],
  ['reflection: a flag nobody knows', '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', { body: frame(Buffer.alloc(0), 4) }, 13],
  ['reflection: cut', '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', { body: Buffer.from([0, 0]) }, 13],
  ['reflection: not protobuf', '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', { body: frame(Buffer.from([255])) }, 3],
  ['reflection: nothing is asked', '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', { body: [] }, 0],
];
for (const [name, path, options, want] of FAULTS) {
  test(name, LIMIT, async () => {
    const reply = await it.raw.call(path, options);
    assert.equal(reply.status, 200);
    assert.equal(reply.grpcStatus, want, reply.grpcMessage);
    assert.equal((await it.raw.call(CHECK, { body: frame(Buffer.alloc(0)) })).grpcStatus, 0, 'and the connection is well');
  });
}

test('commands are strict: a field that is not known is refused, and named', LIMIT, async () => {
  const unknown = Buffer.concat([request(person()), Buffer.from([0x98, 6, 1])]);
  assert.equal((await it.raw.call(CREATE, { headers: signed(), body: frame(unknown) })).grpcStatus, 3);
  const json = { command: { ...person(), shoe: 1 }, wait: false };
  const reply = await it.raw.call(CREATE, { headers: signed(), type: 'application/grpc+json', body: frame(Buffer.from(JSON.stringify(json))) });
  assert.equal(reply.grpcStatus, 3);
  assert.match(Buffer.from(reply.headers['grpc-status-details-bin'], 'base64').toString('latin1'), /shoe.*unknown_field/s);
});

test('a message of almost 4 MiB is read; its field is too long', LIMIT, async () => {
  const reply = await it.raw.call(CREATE, { headers: signed(), body: frame(request(person({ notes: 'x'.repeat((4 << 20) - 200) }))) });
  assert.equal(reply.grpcStatus, 3);
  const packed = await it.raw.call(CREATE, { headers: signed({ 'grpc-encoding': 'gzip' }), body: frame(gzipSync(request(person({ notes: 'x'.repeat((4 << 20) - 200) }))), 1) });
  assert.equal(packed.grpcStatus, 3);
});

test('answers come compressed to those who take it, where it is worth it', LIMIT, async () => {
  await Promise.all(Array.from({ length: 30 }, () => it.demo.create(person())));
  const ask = (headers) => it.raw.call(LIST, { headers: signed(headers), body: frame(Buffer.alloc(0)) });
  const plain = await ask({});
  const packed = await ask({ 'grpc-accept-encoding': 'identity,deflate,gzip' });
  assert.equal(plain.headers['grpc-encoding'], undefined);
  assert.equal(packed.headers['grpc-encoding'], 'gzip');
  const [one] = frames(packed.body);
  assert.equal(one.flags, 1);
  assert.deepEqual(gunzipSync(one.message), frames(plain.body)[0].message);
  assert.equal((await it.raw.call(CHECK, { headers: { 'grpc-accept-encoding': 'gzip' }, body: frame(Buffer.alloc(0)) })).headers['grpc-encoding'], undefined);
});

test('what is no way to call it: media types, methods, HTTP/1.1', LIMIT, async () => {
  for (const type of ['text/plain', 'application/x-protobuf', 'application/grpc+thrift', ''])
    assert.equal((await it.raw.call(CHECK, { type, body: frame(Buffer.alloc(0)) })).status, 415, type);
  const wrong = await it.raw.call(CREATE, { method: 'PUT' });
  assert.deepEqual([wrong.status, wrong.headers.allow], [405, 'OPTIONS, POST']);
  const url = `${it.installation.plainUrl}${CHECK}`;
  const old = await call(url, { method: 'POST', headers: { 'content-type': 'application/grpc' }, body: frame(Buffer.alloc(0)) });
  assert.equal(old.status, 505);
  assert.equal(old.json.type, '/problems/version_not_supported');
});

test('a caller who goes away, in the middle of whatever', LIMIT, async () => {
  const other = new RawRpc(it.installation.plainUrl);
  const open = [
    other.call('/events.v1.EventStream/Subscribe', { headers: signed(), body: frame(Buffer.alloc(0)) }),
    other.call('/grpc.health.v1.Health/Watch', { body: frame(Buffer.alloc(0)) }),
    other.call('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', { body: Buffer.from([0]), end: false }),
    other.call(CREATE, { headers: signed(), body: frame(request(person(), true)) }),
    other.call(LIST, { headers: signed({ 'x-events-min-position': '99999999' }), body: frame(Buffer.alloc(0)) }),
    other.call(CREATE, { headers: signed(), body: Buffer.from([0, 0, 0]), end: false }),
  ];
  await new Promise((done) => setTimeout(done, 100));
  other.session.destroy();
  await Promise.all(open);
  assert.equal((await it.raw.call(CHECK, { body: frame(Buffer.alloc(0)) })).grpcStatus, 0);
});

test('calls are counted by their status', LIMIT, async () => {
  const { body } = await call(`http://${it.installation.admin.gateway}/metrics`);
  const counted = (code) => Number(new RegExp(`events_gateway_rpcs_total\\{code="${code}"\\} (\\d+)`).exec(body)?.[1] ?? 0);
  for (const code of ['OK', 'INVALID_ARGUMENT', 'UNIMPLEMENTED', 'RESOURCE_EXHAUSTED', 'UNAUTHENTICATED', 'CANCELLED'])
    assert.ok(counted(code) > 0, code);
});
