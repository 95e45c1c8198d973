// The stream as server-sent events: what comes, who gets what, resuming without a gap, slow readers, and every end.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { call, Client } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { EventStream } from './kit/sse.mjs';
import * as token from './kit/token.mjs';
import { eventually, SLOW } from './kit/wait.mjs';
import { EventSocket } from './kit/websocket.mjs';

const it = {};
let n = 0;
const prospect = (more = {}) => ({ firstName: 'Ada', lastName: 'Lovelace', email: `sse-${++n}@example.org`, ...more });

before(async () => {
  it.installation = await Installation.start();
  it.demo = await Client.demo(it.installation);
  const add = (name, tenant, scopes) => it.installation.ctlWith({ input: 'some-password\n' }, 'user', 'add', name, '--tenant', tenant, '--scopes', scopes, '--password-stdin');
  await it.installation.ctl('tenant', 'add', 'other');
  for (const [name, tenant, scopes] of [['masked', 'demo', 'prospects:read'], ['writer', 'demo', 'prospects:write'], ['stranger', 'other', 'prospects:read prospects:write prospects:pii']]) {
    const added = await add(name, tenant, scopes);
    assert.equal(added.code, 0, added.stderr);
    it[name] = await new Client(it.demo.url, { username: name, password: 'some-password' }).login();
  }
});
after(() => it.installation?.stop());

const positionOf = (id) => Number(id.split('.').at(-1));

test('over HTTP/1.1 and HTTP/2: live events in JSON, with ids', async () => {
  const streams = await Promise.all([EventStream.open(it.demo), EventStream.open(it.demo, '', { h2: true })]);
  for (const stream of streams) {
    assert.equal(stream.status, 200);
    assert.match(stream.headers['content-type'], /^text\/event-stream/);
    assert.equal(stream.headers['cache-control'], 'no-store');
    await stream.message('Subscribed', (m) => m.caughtUp);
  }
  const sent = prospect({ notes: 'one\ntwo' });
  const { subject, eventId } = await it.demo.create(sent);
  for (const stream of streams) {
    const { json, id } = await stream.message('message', (m) => m.subject === subject);
    assert.deepEqual([json.eventId, json.eventType, json.tenantId, json.data.notes], [eventId, 'ProspectCreated', 'demo', sent.notes]);
    assert.equal(id, `${stream.headers['x-events-epoch']}.${json.sequence}`);
    stream.close();
  }
});

test('Last-Event-ID and after resume without a gap, whatever the client has', async () => {
  const begin = (await it.demo.get('/api/prospects?limit=1')).headers['x-events-position'];
  for (let i = 0; i < 5; i++) await it.demo.create(prospect());
  const whole = await EventStream.open(it.demo, `?after=${begin}`);
  await whole.message('Subscribed', (m) => m.caughtUp);
  const all = whole.messages.filter((m) => m.event === 'message');
  assert.equal(all.length, 5);
  for (const [i, { id }] of all.entries()) {
    const stream = await EventStream.open(it.demo, '?after=0', { headers: { 'last-event-id': id } });
    await stream.message('Subscribed', (m) => m.caughtUp);
    assert.deepEqual(stream.events.map((e) => e.eventId), all.slice(i + 1).map((m) => m.json.eventId), `after ${id}`);
    stream.close();
  }
  const fromStart = await EventStream.open(it.demo, '?after=0');
  await fromStart.message('Subscribed', (m) => m.caughtUp);
  const log = await it.demo.get('/api/events?after=0&limit=1000');
  assert.deepEqual(fromStart.events.map((e) => e.eventId), log.json.map((e) => e.id));
  const ids = fromStart.messages.map((m) => positionOf(m.id));
  assert.deepEqual(ids, [...ids].sort((a, b) => a - b));
  fromStart.close();
  whole.close();
});

test('types and subjects choose; an outcome comes to its sender whatever was chosen', async () => {
  const first = await it.demo.create(prospect());
  const [one, updates, masked] = await Promise.all([
    EventStream.open(it.demo, `?subjects=${first.subject}`),
    EventStream.open(it.demo, '?types=ProspectUpdated,ProspectMerged'),
    EventStream.open(it.masked, '?subjects=prospect/*'),
  ]);
  for (const stream of [one, updates, masked]) await stream.message('Subscribed', (m) => m.caughtUp);
  const second = await it.demo.create(prospect());
  const put = await it.demo.send('PUT', `/api/prospects/${first.subject.split('/')[1]}`, prospect({ lastName: 'Byron' }), { 'if-match': '*' });
  await it.demo.outcome(put.json.commandId);
  const rejected = await it.demo.send('PUT', `/api/prospects/${first.subject.split('/')[1]}`, prospect(), { 'if-match': '"1"' });
  for (const stream of [one, updates]) await stream.message('message', (m) => m.eventType === 'CommandRejected' && m.data.commandId === rejected.json.commandId);
  assert.deepEqual(one.events.map((e) => [e.eventType, e.subject]).slice(0, -1), [['ProspectUpdated', first.subject]]);
  assert.deepEqual(updates.events.map((e) => e.eventType), ['ProspectUpdated', 'CommandRejected']);
  const seen = await masked.message('message', (m) => m.eventType === 'ProspectUpdated');
  assert.deepEqual([seen.json.data.lastName, seen.json.data.email, seen.json.subject], ['', '', first.subject]);
  assert.ok(masked.events.some((e) => e.subject === second.subject));
  assert.ok(!masked.events.some((e) => e.eventType === 'CommandRejected'), "nobody else's outcome");
  for (const stream of [one, updates, masked]) stream.close();
});

test('another tenant gets nothing; who may not read gets his outcomes alone', async () => {
  const [stranger, writer] = await Promise.all([EventStream.open(it.stranger, '?after=0'), EventStream.open(it.writer, '?after=0')]);
  for (const stream of [stranger, writer]) await stream.message('Subscribed', (m) => m.caughtUp);
  const taken = prospect();
  await it.demo.create(taken);
  const { json } = await it.writer.post('/api/prospects', taken);
  await writer.message('message', (m) => m.eventType === 'CommandRejected' && m.data.commandId === json.commandId);
  assert.equal(writer.events.length, 1);
  assert.deepEqual(stranger.events, []);
  stranger.close();
  writer.close();
});

test('what is wrong is a problem before the stream begins; HEAD has the fields and no stream', async () => {
  const CASES = [
    ['', {}, 401, null], ['', { authorization: 'Bearer x' }, 401, null],
    ['?subjects=x', undefined, 400], ['?after=x', undefined, 400], ['?after=-1', undefined, 400],
    ['', { 'last-event-id': 'x' }, 400], ['', { 'last-event-id': '.3' }, 400], ['', { accept: 'application/json' }, 406],
    [`?subjects=${Array(300).fill('prospect/1')}`, undefined, 400],
  ];
  for (const [query, headers, status, own = it.demo.authorization] of CASES) {
    const reply = await call(`${it.demo.url}/api/events/stream${query}`, { headers: { ...own, ...headers } });
    assert.equal(reply.status, status, `${query} ${JSON.stringify(headers)}`);
    assert.equal(reply.headers['content-type'], 'application/problem+json');
  }
  assert.equal((await it.writer.get('/api/events/stream?types=ProspectCreated')).status, 403);
  const head = await call(`${it.demo.url}/api/events/stream`, { method: 'HEAD', headers: it.demo.authorization });
  assert.equal(head.status, 200);
  assert.match(head.headers['content-type'], /^text\/event-stream/);
});

test('a position that no log has any more: ResyncRequired, and the stream ends', async () => {
  const stream = await EventStream.open(it.demo, '', { headers: { 'last-event-id': 'another-epoch.3' } });
  const { json } = await stream.message('ResyncRequired');
  assert.equal(json.reason, 'epoch');
  assert.match(json.position, /^\d+$/);
  await stream.end();
  assert.equal(stream.lastEventId, '', 'nothing to be stored');
});

test('a token that expires ends the stream, and says so', async () => {
  const { header, claims } = token.parse(it.demo.token);
  const short = token.mint(header, { ...claims, exp: Math.floor(Date.now() / 1000) + 2 }, token.signingKey(it.installation).key);
  const stream = await EventStream.open({ url: it.demo.url, authorization: { authorization: `Bearer ${short}` } });
  assert.equal((await stream.message('Closed')).json.code, 4401);
  await stream.end();
});

/** Bytes that have been sent from a port of this machine to another, and not taken. */
function heldByKernel(from, to) {
  const hex = (port) => `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n').map((line) => line.trim().split(/\s+/));
  return parseInt(lines.find(([, local, remote]) => local?.endsWith(hex(from)) && remote.endsWith(hex(to)))[4].split(':')[0], 16);
}

test('a reader that stops reading holds a bounded part, and then gets everything in order', async () => {
  const stream = await EventStream.open(it.demo);
  await stream.message('Subscribed', (m) => m.caughtUp);
  stream.body.pause();
  const witness = await EventStream.open(it.demo);
  await witness.message('Subscribed', (m) => m.caughtUp);
  const notes = '一'.repeat(4000); // 12 kB of UTF-8
  const COUNT = 150;
  const status = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${it.installation.children.get('gateway').pid}/status`, 'utf8'))[1]);
  const posts = await Promise.all(Array.from({ length: COUNT }, () => it.demo.post('/api/prospects', prospect({ notes }))));
  const outcomes = await Promise.all(posts.map(({ json }) => it.demo.outcome(json.commandId)));
  assert.ok(status() < 400000 * SLOW, `${status()} kB`);
  const missing = (of) => {
    const got = new Set(of.events.map((e) => e.subject));
    return outcomes.filter((o) => !got.has(o.subject)).length;
  };
  await eventually('all events at who reads', () => missing(witness) === 0, 15000);
  witness.close();
  assert.ok(missing(stream) > 0);
  const { localPort, remotePort } = stream.body.socket;
  const held = heldByKernel(remotePort, localPort);
  assert.ok(held > 0 && held < 400000, `${held} bytes wait in the kernel`);
  stream.body.resume();
  await eventually('all events', () => missing(stream) === 0, 15000);
  const numbers = stream.events.map((e) => Number(e.sequence));
  assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b), 'in order, and none twice');
  assert.ok(stream.messages.filter((m) => m.event === 'Subscribed').length > 1, 'it left the live stream and came back');
  assert.equal(stream.ended, false);
  stream.close();
});

test('a stream is rolled over by Reconnect, for WebSockets too, and nothing is missed; so is the end of the gateway', async () => {
  const { installation } = it;
  const stop = async () => {
    installation.children.get('gateway').kill('SIGTERM');
    assert.equal((await installation.children.get('gateway').exited).code, 0);
  };
  const draining = await EventStream.open(it.demo);
  await draining.message('Subscribed');
  await stop();
  assert.equal((await draining.message('Reconnect')).json.reason, 'shutdown');
  await draining.end();
  installation.env.EVENTS_STREAM_MAX_SECONDS = '1';
  await installation.run('gateway');
  const socket = await EventSocket.open(it.demo);
  const expected = [], got = [];
  let stream = await EventStream.open(it.demo);
  for (let rolled = 0; rolled < 2; rolled++) {
    await stream.message('Subscribed', (m) => m.caughtUp);
    expected.push((await it.demo.create(prospect())).eventId);
    const { json } = await stream.message('Reconnect');
    assert.equal(json.reason, 'rollover');
    assert.ok(json.retryAfterMs < 1000);
    await stream.end();
    got.push(...stream.events);
    expected.push((await it.demo.create(prospect())).eventId);
    const headers = { 'last-event-id': stream.lastEventId };
    stream = await EventStream.open(it.demo, '', { headers });
  }
  await stream.message('Subscribed', (m) => m.caughtUp);
  got.push(...stream.events);
  assert.deepEqual(got.map((e) => e.eventId), expected);
  assert.equal((await socket.frame('reconnect')).reconnect.reason, 'rollover');
  assert.equal((await eventually('the end', () => socket.ws.closed)).code, 1001);
  stream.close();
});
