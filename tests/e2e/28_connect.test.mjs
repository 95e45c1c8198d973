// The same services for browsers: gRPC-Web and Connect, by @connectrpc/connect-node and by bytes.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { call, Client } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { frame, frames } from './kit/raw_rpc.mjs';
import { badRequest, errorInfo, service } from './kit/rpc.mjs';
import { SLOW } from './kit/wait.mjs';

const LIMIT = { timeout: 30000 * SLOW };
const ORIGIN = 'https://app.example';
const it = {};
let n = 0;
const person = (more = {}) => ({ firstName: 'Ada', lastName: 'Lovelace', email: `connect-${++n}@example.org`, ...more });

before(async () => {
  it.installation = await Installation.start({ env: { EVENTS_ALLOWED_ORIGINS: ORIGIN } });
  it.url = it.installation.plainUrl;
  it.demo = await Client.demo(it.installation);
  it.headers = it.demo.authorization;
});
after(() => it.installation?.stop());

const TRANSPORTS = [
  ['gRPC', (o) => createGrpcTransport(o)],
  ['gRPC-Web over HTTP/1.1', (o) => createGrpcWebTransport({ ...o, httpVersion: '1.1' })],
  ['gRPC-Web over HTTP/2', (o) => createGrpcWebTransport({ ...o, httpVersion: '2' })],
  ['Connect over HTTP/1.1', (o) => createConnectTransport({ ...o, httpVersion: '1.1' })],
  ['Connect over HTTP/2, JSON', (o) => createConnectTransport({ ...o, httpVersion: '2', useBinaryFormat: false })],
  ['Connect over HTTP/1.1, GET', (o) => createConnectTransport({ ...o, httpVersion: '1.1', useHttpGet: true })],
];
for (const [name, make] of TRANSPORTS) {
  test(`${name}: a command, a refusal with its reasons, reads, a stream`, LIMIT, async () => {
    const transport = make({ baseUrl: it.url });
    const options = { headers: it.headers };
    const commands = createClient(service('events.v1.ProspectCommands'), transport);
    const queries = createClient(service('events.v1.ProspectQueries'), transport);
    const command = person({ notes: 'x'.repeat(3000) });
    const outcome = await commands.createProspect({ command, wait: true }, options);
    assert.equal(outcome.status, 2);
    const prospectId = BigInt(outcome.subject.split('/')[1]);
    assert.equal((await queries.getProspect({ prospectId }, options)).email, command.email);
    assert.ok((await queries.listProspects({ limit: 5 }, options)).items.length >= 1);
    const refused = await commands.createProspect({ command, wait: true }, options).catch((error) => error);
    assert.ok(refused instanceof ConnectError, String(refused));
    assert.equal(refused.code, Code.AlreadyExists);
    const value = (type) => refused.details.find((d) => d.type === `google.rpc.${type}`).value;
    assert.equal(badRequest(value('BadRequest')).violations[0].field, 'email');
    assert.equal(errorInfo(value('ErrorInfo')).reason, 'duplicate_email');
    for (const [request, code] of [[{ prospectId: 999999n }, Code.NotFound], [{ prospectId: -1n }, Code.InvalidArgument]])
      assert.equal((await queries.getProspect(request, options).catch((error) => error)).code, code);
    assert.equal((await queries.getProspect({ prospectId }).catch((error) => error)).code, Code.Unauthenticated);
    const events = [];
    const stream = createClient(service('events.v1.EventStream'), transport);
    const end = new AbortController();
    for await (const { frame: f } of stream.subscribe({ subscribe: { resume: { case: 'after', value: 0n } } }, { ...options, signal: end.signal })) {
      if (f.case === 'events') events.push(...f.value.events);
      if (f.case === 'subscribed' && f.value.caughtUp) break;
    }
    end.abort();
    assert.ok(events.some((e) => e.subject === outcome.subject));
    const cut = stream.subscribe({}, { ...options, timeoutMs: 200 });
    await assert.rejects(async () => { for await (const _ of cut); }, (error) => error.code === Code.DeadlineExceeded);
    const wrong = stream.subscribe({ subscribe: { subjects: ['nonsense'] } }, options);
    await assert.rejects(async () => { for await (const _ of wrong); }, (error) => error.code === Code.InvalidArgument);
  });
}

const post = (path, headers, body) => call(it.url + path, { method: 'POST', headers, body });
const CHECK = '/grpc.health.v1.Health/Check';

test('gRPC-Web by bytes: the trailers are the last frame; as text it is base64', LIMIT, async () => {
  const binary = await post(CHECK, { 'content-type': 'application/grpc-web+proto' }, frame(Buffer.alloc(0)));
  const [one, end] = frames(binary.body);
  assert.deepEqual([one.flags, one.message, end.flags, String(end.message)], [0, Buffer.from([8, 1]), 128, 'grpc-status: 0\r\n']);
  const text = await post(CHECK, { 'content-type': 'application/grpc-web-text' }, frame(Buffer.alloc(0)).toString('base64'));
  assert.equal(text.headers['content-type'], 'application/grpc-web-text');
  const parts = String(text.body).match(/[^=]+=*/g).map((part) => Buffer.from(part, 'base64'));
  assert.deepEqual(frames(Buffer.concat(parts)).map((f) => f.flags), [0, 128]);
  const bad = await post(CHECK, { 'content-type': 'application/grpc-web-text' }, '*');
  assert.match(Buffer.from(String(bad.body), 'base64').toString(), /grpc-status: 13\r\n/);
});

test('Connect by bytes: plain JSON, its errors as HTTP statuses, GET, gzip', LIMIT, async () => {
  const json = { 'content-type': 'application/json' };
  const good = await post(CHECK, json, '{}');
  assert.deepEqual([good.status, good.json], [200, { status: 'SERVING' }]);
  assert.equal((await post(CHECK, { ...json, 'content-encoding': 'gzip' }, gzipSync('{}'))).status, 200);
  assert.equal((await post(CHECK, { ...json, 'content-encoding': 'br' }, '{}')).status, 501);
  assert.deepEqual((await post(CHECK, json, '{"service":"x"}')).json, { code: 'not_found', message: 'there is no such service' });
  assert.equal((await post(CHECK, json, '{')).status, 400);
  const query = `?connect=v1&encoding=json&message=${encodeURIComponent('{"limit":1}')}`;
  const got = await call(`${it.url}/events.v1.ProspectQueries/ListProspects${query}`, { headers: it.headers });
  assert.equal(got.status, 200);
  assert.equal(typeof got.json.items[0].prospectId, 'string', 'as protobuf has it in JSON');
  assert.equal(got.headers['cache-control'], 'no-store');
  assert.equal((await call(`${it.url}/events.v1.ProspectCommands/CreateProspect${query}`, { headers: it.headers })).status, 405);
});

test('pages of an allowed origin may call, others are not told so', LIMIT, async () => {
  const preflight = (origin) => call(it.url + CHECK, { method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-grpc-web' } });
  const allowed = await preflight(ORIGIN);
  assert.equal(allowed.status, 204);
  assert.equal(allowed.headers['access-control-allow-origin'], ORIGIN);
  assert.match(allowed.headers['access-control-allow-headers'], /X-Grpc-Web/);
  assert.equal((await preflight('https://evil.example')).headers['access-control-allow-origin'], undefined);
  const reply = await post(CHECK, { 'content-type': 'application/grpc-web', origin: ORIGIN }, frame(Buffer.alloc(0)));
  assert.match(reply.headers['access-control-expose-headers'], /Grpc-Status-Details-Bin/);
});
