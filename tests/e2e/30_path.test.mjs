// The whole path: a command goes in by HTTP, its event comes out as protobuf on every screen that may see it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { call, Client } from './kit/client.mjs';
import { BUILD, Installation } from './kit/installation.mjs';
import { decode } from './kit/protobuf.mjs';
import { eventually, sleep } from './kit/wait.mjs';
import { EventSocket, PROTOCOL, WebSocketClient } from './kit/websocket.mjs';

const it = {};
let n = 0;
const prospect = (more = {}) => ({ firstName: 'Grace', lastName: 'Hopper', email: `path-${++n}@example.org`, ...more });

async function addUser(name, tenant, scopes = 'prospects:read prospects:write prospects:pii') {
  await it.installation.ctl('tenant', 'add', tenant);
  const { code, stderr } = await it.installation.ctlWith({ input: `${name}-password\n` }, 'user', 'add', name, '--tenant', tenant, '--scopes', scopes, '--password-stdin');
  assert.equal(code, 0, stderr);
  return new Client(it.installation.plainUrl, { username: name, password: `${name}-password` }).login();
}

before(async () => {
  it.installation = await Installation.start();
  it.demo = await Client.demo(it.installation);
});
after(() => it.installation?.stop());

test('one command, one event, on two screens', async () => {
  const sockets = [await EventSocket.subscribe(it.demo), await EventSocket.subscribe(it.demo)];
  const sent = prospect({ phone: '+1 555 0100', notes: 'späť\n測試' });
  const { json } = await it.demo.post('/api/prospects', sent, { 'x-correlation-id': 'path-test-1' });
  for (const socket of sockets) {
    assert.equal(socket.ws.protocol, PROTOCOL);
    const event = await socket.event((e) => e.causationId === json.commandId);
    assert.equal(event.eventType, 'ProspectCreated');
    assert.equal(event.schemaVersion, '1.0');
    assert.equal(event.producer, 'ProspectService');
    assert.equal(event.tenantId, 'demo');
    assert.equal(event.correlationId, 'path-test-1');
    assert.equal(event.subjectVersion, 1);
    assert.ok(event.sequence > 0);
    assert.match(event.eventId, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    assert.ok(Math.abs(event.occurredAt.seconds - Date.now() / 1000) < 120);
    const { prospectId, version, ...data } = decode('ProspectCreated', event.data);
    assert.deepEqual(data, sent);
    assert.equal(version, 1);
    assert.equal(event.subject, `prospect/${prospectId}`);
    assert.ok(socket.position >= event.sequence, 'the position covers what was sent');
  }
  assert.deepEqual(sockets[0].events.map((e) => e.eventId), sockets[1].events.map((e) => e.eventId));
  sockets.forEach((s) => s.close());
});

test('an update carries the whole new state and the changed fields', async () => {
  const socket = await EventSocket.subscribe(it.demo);
  const first = prospect();
  const { subject } = await it.demo.create(first);
  await it.demo.send('PUT', `/api/${subject.replace('prospect', 'prospects')}`, { ...first, lastName: 'Murray' }, { 'if-match': '"1"' });
  const event = await socket.event((e) => e.subject === subject && e.eventType === 'ProspectUpdated');
  assert.equal(event.subjectVersion, 2);
  const data = decode('ProspectUpdated', event.data);
  assert.deepEqual([data.firstName, data.lastName, data.email, data.version], [first.firstName, 'Murray', first.email, 2]);
  assert.deepEqual(data.changedFields, ['lastName']);
  socket.close();
});

test('CommandRejected comes to its sender only, whatever his filters', async () => {
  const colleague = await addUser('colleague', 'demo');
  const mine = await EventSocket.subscribe(it.demo, { eventTypes: ['ProspectUpdated'] });
  const his = await EventSocket.subscribe(colleague);
  const twice = prospect();
  await it.demo.create(twice);
  const { json } = await it.demo.post('/api/prospects', twice);
  const event = await mine.event((e) => e.eventType === 'CommandRejected' && e.causationId === json.commandId);
  const rejected = decode('CommandRejected', event.data);
  assert.deepEqual([rejected.code, rejected.commandId, rejected.commandType], ['duplicate_email', json.commandId, 'CreateProspect']);
  assert.equal(event.subject, `command/${json.commandId}`);
  const last = await it.demo.create(prospect());
  await his.event((e) => e.subject === last.subject);
  assert.equal(his.events.filter((e) => e.eventType === 'CommandRejected').length, 0);
  assert.equal(mine.events.filter((e) => e.eventType === 'ProspectCreated').length, 0, 'the filter holds');
  [mine, his].forEach((s) => s.close());
});

test('filters by type and subject', async () => {
  const { subject } = await it.demo.create(prospect());
  const one = await EventSocket.subscribe(it.demo, { subjects: [subject] });
  const all = await EventSocket.subscribe(it.demo, { subjects: ['prospect/*'] });
  const body = prospect();
  await it.demo.send('PUT', `/api/${subject.replace('prospect', 'prospects')}`, body, { 'if-match': '*' });
  const other = await it.demo.create(prospect());
  await all.event((e) => e.subject === other.subject);
  await one.event((e) => e.subject === subject && e.subjectVersion === 2);
  assert.ok(one.events.every((e) => e.subject === subject));
  [one, all].forEach((s) => s.close());
});

test('another tenant sees nothing of it', async () => {
  const stranger = await addUser('stranger', 'elsewhere');
  const socket = await EventSocket.subscribe(stranger, { after: 0 });
  const mine = await EventSocket.subscribe(it.demo);
  const outcome = await it.demo.create(prospect());
  await mine.event((e) => e.subject === outcome.subject);
  await sleep(200);
  assert.deepEqual(socket.events, []);
  assert.deepEqual((await stranger.get('/api/prospects')).json.items, []);
  assert.equal((await stranger.get(`/api/${outcome.subject.replace('prospect', 'prospects')}`)).status, 404);
  assert.equal((await stranger.get(`/api/${outcome.subject.replace('prospect', 'prospects')}/history`)).json.items?.length ?? 0, 0);
  assert.equal((await stranger.get(`/api/commands/${outcome.commandId}`)).status, 404);
  assert.deepEqual(JSON.parse((await stranger.get('/api/events?after=0')).body), []);
  const his = await stranger.create(prospect());
  await socket.event((e) => e.subject === his.subject);
  await sleep(200);
  assert.ok(mine.events.every((e) => e.subject !== his.subject));
  [socket, mine].forEach((s) => s.close());
});

test('resume: what happened in between comes once, in order, and then the live events', async () => {
  const socket = await EventSocket.subscribe(it.demo);
  const first = await it.demo.create(prospect());
  await socket.event((e) => e.subject === first.subject);
  const { position, epoch } = socket;
  socket.close();
  const missed = [];
  for (let i = 0; i < 5; i++) missed.push((await it.demo.create(prospect())).subject);
  const again = await EventSocket.subscribe(it.demo, { after: position, epoch });
  assert.deepEqual(again.events.map((e) => e.subject), missed);
  const live = await it.demo.create(prospect());
  await again.event((e) => e.subject === live.subject);
  assert.equal(new Set(again.events.map((e) => e.eventId)).size, again.events.length);
  again.close();
});

test('resume from 0 gives the whole log, each subject in order of its versions', async () => {
  const socket = await EventSocket.subscribe(it.demo, { after: 0 });
  const rows = await it.demo.list();
  await eventually('every subject', () => new Set(socket.events.filter((e) => e.eventType === 'ProspectCreated').map((e) => e.subject)).size >= rows.length);
  const versions = new Map();
  for (const event of socket.events.filter((e) => e.subject.startsWith('prospect/'))) {
    assert.equal(event.subjectVersion, (versions.get(event.subject) ?? 0) + 1, event.subject);
    versions.set(event.subject, event.subjectVersion);
  }
  for (const row of rows) assert.equal(versions.get(`prospect/${row.prospectId}`), row.version);
  socket.close();
});

test("the list's position is where to subscribe", async () => {
  const { headers } = await it.demo.get('/api/prospects?limit=1');
  const created = await it.demo.create(prospect());
  const socket = await EventSocket.subscribe(it.demo, { after: Number(headers['x-events-position']), epoch: headers['x-events-epoch'] });
  await socket.event((e) => e.subject === created.subject);
  socket.close();
});

test('eventsctl events tail prints what was and what comes', async () => {
  const child = spawn(path.join(BUILD, 'eventsctl'), ['events', 'tail'], { env: it.installation.env });
  try {
    let text = '';
    child.stdout.on('data', (bytes) => (text += bytes));
    const lines = () => text.split('\n').slice(0, -1).map((line) => JSON.parse(line));
    const { position } = await EventSocket.subscribe(it.demo, { after: 0 }).then(async (socket) => (socket.close(), socket));
    await eventually('the log so far', () => lines().length && Number(lines().at(-1).sequence) >= position);
    const { subject } = await it.demo.create(prospect());
    await eventually('the new event', () => lines().at(-1).subject === subject);
    assert.equal(new Set(lines().map((event) => event.sequence)).size, lines().length);
  } finally {
    child.kill();
  }
});

test('an unknown epoch is answered by ResyncRequired', async () => {
  const socket = await EventSocket.open(it.demo);
  socket.send({ subscribe: { id: 7, after: 1, epoch: 'another-log' } });
  const { resyncRequired } = await socket.frame('resyncRequired');
  assert.deepEqual([resyncRequired.reason, resyncRequired.id], ['epoch', 7]);
  socket.close();
});

test('a ticket opens one socket, once', async () => {
  const { status, json } = await it.demo.post('/api/auth/ticket', '');
  assert.equal(status, 200);
  const url = `${it.demo.url}/ws/events?ticket=${encodeURIComponent(json.ticket)}`;
  const ws = await WebSocketClient.open(url);
  await assert.rejects(WebSocketClient.open(url), { status: 401 });
  ws.close();
  const bearer = await WebSocketClient.open(`${it.demo.url}/ws/events`, { protocols: [PROTOCOL, `bearer.${it.demo.token}`] });
  assert.equal(bearer.protocol, PROTOCOL, 'the token is never echoed');
  bearer.close();
});

test('handshakes that are refused', async () => {
  const url = `${it.demo.url}/ws/events`;
  await assert.rejects(WebSocketClient.open(url), { status: 401 });
  await assert.rejects(WebSocketClient.open(url, { headers: { authorization: 'Bearer wrong' } }), { status: 401 });
  await assert.rejects(WebSocketClient.open(`${url}?ticket=wrong`), { status: 401 });
  await assert.rejects(WebSocketClient.open(url, { headers: { ...it.demo.authorization, origin: 'https://evil.example' } }), { status: 403 });
  await assert.rejects(WebSocketClient.open(`${it.demo.url}/ws/nothing`, { headers: it.demo.authorization }), { status: 404 });
  await assert.rejects(WebSocketClient.open(url, { headers: { ...it.demo.authorization, 'sec-websocket-version': '12' } }), { status: 426 });
  assert.ok([400, 426].includes((await call(url, { headers: it.demo.authorization })).status), 'a plain GET');
});

test('frames that break the protocol close with their code', async () => {
  const CASES = [
    ['text', (ws) => ws.send('{}', true), 1003],
    ['no protobuf', (ws) => ws.send(Buffer.from([0x0a, 0xff, 0xff, 0xff])), 1007],
    ['too big', (ws) => ws.send(Buffer.alloc(65 * 1024)), 1009],
  ];
  for (const [name, send, want] of CASES) {
    const socket = await EventSocket.open(it.demo);
    send(socket.ws);
    await eventually(`${name} closes`, () => socket.ws.closed);
    assert.equal(socket.ws.closed.code, want, name);
  }
});

test('errors that leave the connection open', async () => {
  const socket = await EventSocket.open(it.demo);
  const error = async (code) => (await socket.frame('error', (e) => e.code === code)).error;
  socket.ws.send(Buffer.from([0xa2, 0x06, 0x00])); // a frame of field 100
  await error('unknown_frame');
  socket.send({ unsubscribe: { id: 99 } });
  await error('unknown_id');
  socket.send({ subscribe: { id: 2, subjects: ['no subject'] } });
  await error('invalid_subject');
  for (let id = 10; id < 50; id++) socket.send({ subscribe: { id } });
  await error('too_many');
  socket.send({ ping: { nonce: 42 } });
  await socket.frame('pong', (p) => p.nonce === 42);
  socket.close();
});

test('a token that ends closes its socket with 4401', { skip: process.env.EVENTS_LONG ? false : 'takes long: --long' }, async () => {
  const short = await Installation.start({ env: { EVENTS_ACCESS_TOKEN_SECONDS: '60' } });
  try {
    const socket = await EventSocket.open(await Client.demo(short));
    await eventually('the end', () => socket.ws.closed, 100000, 200);
    assert.equal(socket.ws.closed.code, 4401);
  } finally {
    await short.stop();
  }
});

test('who does not read is not thrown out: what waits is dropped, and comes again when he reads', async () => {
  const [witness, slow] = [await EventSocket.subscribe(it.demo), await EventSocket.subscribe(it.demo, { eventTypes: ['ProspectCreated'] })];
  slow.send({ subscribe: { id: 2, subjects: ['prospect/*'] } });
  await slow.frame('subscribed', ({ id }) => id === 2);
  slow.ws.socket.pause();
  const notes = '一'.repeat(4000); // 12 kB of UTF-8; what lies in the kernels is not ours to drop
  const posts = await Promise.all(Array.from({ length: 500 }, () => it.demo.post('/api/prospects', prospect({ notes }))));
  const ids = new Set(posts.map(({ json }) => json.commandId));
  const missing = (at) => ids.size - new Set(at.events.map((e) => e.causationId).filter((id) => ids.has(id))).size;
  await eventually('all events at who reads', () => missing(witness) === 0, 30000);
  assert.ok(missing(slow) > 0);
  slow.ws.socket.resume();
  const { resyncRequired } = await slow.frame('resyncRequired');
  assert.equal(resyncRequired.reason, 'lagging');
  await eventually('all events', () => missing(slow) === 0, 30000);
  for (const id of [1, 2]) await eventually(`subscription ${id} is live again`, () => slow.frames.findLast((f) => f.subscribed?.id === id).subscribed.caughtUp);
  assert.ok(resyncRequired.position < slow.position, 'it went on from there by itself');
  const { json } = await it.demo.post('/api/prospects', prospect());
  await slow.event((e) => e.causationId === json.commandId);
  assert.equal(slow.ws.closed, null);
  witness.close(), slow.close();
});

test('when the gateway stops, its sockets get Reconnect and 1001', async () => {
  const socket = await EventSocket.subscribe(it.demo);
  const gateway = it.installation.children.get('gateway');
  gateway.kill('SIGTERM');
  assert.equal((await gateway.exited).code, 0);
  await eventually('the close', () => socket.ws.closed);
  assert.ok(socket.frames.some((f) => f.reconnect));
  assert.equal(socket.ws.closed.code, 1001);
  await it.installation.run('gateway');
});
