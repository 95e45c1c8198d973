// What a connection may do, while it lasts: it ends when that is taken back, and a new token changes it in place.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { call, Client, JSON_TYPE } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { grpc, grpcClient, metadata } from './kit/rpc.mjs';
import { frame, RawRpc } from './kit/raw_rpc.mjs';
import { EventStream } from './kit/sse.mjs';
import { mint, parse, signingKey } from './kit/token.mjs';
import { eventually, SLOW } from './kit/wait.mjs';
import { EventSocket } from './kit/websocket.mjs';

const LIMIT = { timeout: 60000 * SLOW };
const READER = 'prospects:read prospects:write prospects:pii';
const it = {};
let n = 0;
const prospect = (more = {}) => ({ firstName: 'Emmy', lastName: 'Noether', email: `grants-${++n}@example.org`, ...more });

before(async () => {
  // an hour between two looks: only what is told takes effect at once
  it.installation = await Installation.start({ env: { EVENTS_POLL_SECONDS: '3600' } });
  it.demo = await Client.demo(it.installation);
});
after(() => it.installation?.stop());

async function ctl(...args) {
  const { code, stderr } = await it.installation.ctlWith({ input: 'some-password\n' }, ...args);
  assert.equal(code, 0, stderr);
}

/** A user of his own for each test, signed in. */
async function user(scopes = READER) {
  const username = `user-${++n}`;
  await ctl('user', 'add', username, '--tenant', 'demo', '--scopes', scopes, '--password-stdin');
  return signIn(username);
}
const signIn = (username) => new Client(it.demo.url, { username, password: 'some-password' }).login();

const post = (path, body) => call(it.demo.url + path, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(body) });
const refresh = (client) => post('/api/auth/refresh', { refreshToken: client.tokens.refreshToken });

/** The client with the next tokens of its session. */
async function renewed(client) {
  const { status, json } = await refresh(client);
  assert.equal(status, 200);
  return Object.assign(Object.create(Client.prototype), client, { token: json.accessToken, tokens: json });
}

/** One stream of each kind; ended() resolves when all have ended for want of a grant. */
async function streams(client) {
  const socket = await EventSocket.subscribe(client);
  const sse = await EventStream.open(client);
  await sse.message('Subscribed', (m) => m.caughtUp);
  const rpc = grpcClient('events.v1.EventStream', new URL(client.url).host);
  const subscribed = rpc.subscribe({ subscribe: { id: 1 } }, metadata(client.authorization));
  let status;
  subscribed.on('data', () => {});
  subscribed.on('error', (error) => (status = error.code));
  await new Promise((done) => subscribed.once('data', done));
  return {
    async ended(within) {
      const begun = performance.now();
      await eventually('the end of all streams', () => socket.ws.closed && sse.ended && status !== undefined);
      const took = performance.now() - begun;
      assert.equal(socket.ws.closed.code, 4401);
      assert.equal(sse.messages.at(-1).event, 'Closed');
      assert.equal(sse.messages.at(-1).json.code, 4401);
      assert.equal(status, grpc.status.UNAUTHENTICATED);
      rpc.close();
      if (within) assert.ok(took < within * SLOW, `${took.toFixed()} ms`);
    },
    live: () => !socket.ws.closed && !sse.ended && status === undefined,
    close() {
      socket.close();
      sse.close();
      subscribed.cancel();
      rpc.close();
    },
  };
}

const status = async (client) => (await client.get('/api/event-types')).status;

async function upgrade(client, query = '') {
  try {
    (await EventSocket.open(client, query)).close();
    return 101;
  } catch (error) {
    return error.status;
  }
}

// --- what is taken back

test('a user who is disabled is out at once, everywhere, and stays out after a restart of the gateway', LIMIT, async () => {
  const [ada, bob] = [await user(), await user()];
  const [hers, his] = [await streams(ada), await streams(bob)];
  await ctl('user', 'disable', ada.username);
  await hers.ended(3000); // a second is promised; the machine may be busy with other tests
  assert.ok(his.live());
  his.close();
  const refused = async () => {
    assert.equal(await status(ada), 401);
    assert.equal(await upgrade(ada), 401);
    assert.equal((await refresh(ada)).status, 401);
    assert.equal(await status(bob), 200);
  };
  await refused();
  await it.installation.kill('gateway');
  await it.installation.run('gateway');
  await refused();
  await ctl('user', 'enable', ada.username);
  const back = await signIn(ada.username);
  assert.deepEqual([await status(back), await status(ada), await upgrade(back)], [200, 401, 101]);
});

test('a call whose head came before its user was disabled, and its message after, is refused', LIMIT, async () => {
  const ada = await user();
  const hers = await streams(ada);
  const raw = new RawRpc(it.demo.url);
  let go;
  const after = new Promise((done) => (go = done));
  const calls = ['EventStream/Subscribe', 'ProspectQueries/ListProspects', 'ProspectCommands/CreateProspect'].map((name) =>
    raw.call(`/events.v1.${name}`, { headers: ada.authorization, body: frame(Buffer.alloc(0)), after }));
  await new Promise((done) => raw.session.ping(done)); // the heads have come
  await ctl('user', 'disable', ada.username);
  await hers.ended();
  go();
  for (const { grpcStatus } of await Promise.all(calls)) assert.equal(grpcStatus, grpc.status.UNAUTHENTICATED);
  raw.close();
});

test('a new password and a revocation end what there is, and let him sign in anew', LIMIT, async () => {
  for (const args of [['passwd', '--password-stdin'], ['revoke']]) {
    const ada = await user();
    const hers = await streams(ada);
    await ctl('user', args[0], ada.username, ...args.slice(1));
    await hers.ended();
    assert.deepEqual([await status(ada), (await refresh(ada)).status], [401, 401]);
    assert.equal(await status(await signIn(ada.username)), 200, 'in the same second, too');
  }
});

test('a token that names no session falls with its user; of another user it does not', LIMIT, async () => {
  const [ada, bob] = [await user(), await user()];
  const { kid, key } = signingKey(it.installation);
  const bare = (client) => {
    const { sid, gen, name, ...claims } = parse(client.token).claims;
    return Object.assign(Object.create(Client.prototype), client, { token: mint({ alg: 'ES256', kid }, claims, key) });
  };
  const [hers, his] = [bare(ada), bare(bob)];
  assert.deepEqual([await status(hers), await status(his)], [200, 200]);
  const socket = await EventSocket.subscribe(hers);
  await ctl('user', 'revoke', ada.username);
  await eventually('the end', () => socket.ws.closed);
  assert.equal(socket.ws.closed.code, 4401);
  assert.deepEqual([await status(hers), await status(his)], [401, 200]);
});

test('a refresh token that is used again ends its session, and no other of the user', LIMIT, async () => {
  const stolen = await user();
  const other = await signIn(stolen.username);
  const next = await renewed(stolen);
  const [theirs, his] = [await streams(next), await streams(other)];
  assert.equal((await refresh(stolen)).status, 401);
  await theirs.ended();
  assert.deepEqual([await status(stolen), await status(next), await status(other)], [401, 401, 200]);
  assert.equal((await refresh(next)).status, 401);
  assert.ok(his.live());
  his.close();
});

test('logging out ends the session, and no other of the user', LIMIT, async () => {
  const here = await user();
  const there = await signIn(here.username);
  const { json: { ticket } } = await here.post('/api/auth/ticket', {});
  const [mine, his] = [await streams(here), await streams(there)];
  const out = await here.post('/api/auth/logout', {});
  assert.deepEqual([out.status, out.body.length], [204, 0]);
  await mine.ended();
  assert.deepEqual([await status(here), await status(there)], [401, 200]);
  assert.deepEqual([(await refresh(here)).status, (await here.post('/api/auth/logout', {})).status], [401, 401]);
  const late = await fetchUpgrade(`/ws/events?ticket=${encodeURIComponent(ticket)}`);
  assert.equal(late, 401, 'a ticket that was asked for before');
  assert.ok(his.live());
  his.close();
});

/** The status of an upgrade without a token. */
async function fetchUpgrade(path) {
  const { WebSocketClient } = await import('./kit/websocket.mjs');
  try {
    (await WebSocketClient.open(it.demo.url + path)).close();
    return 101;
  } catch (error) {
    return error.status;
  }
}

// --- what a new token changes in place

const names = (events, subject) => events.filter((e) => e.subject === subject).length;

test('RefreshToken: another user is refused, a wider and a narrower grant take effect at once', LIMIT, async () => {
  const ada = await user('prospects:read');
  const socket = await EventSocket.subscribe(ada);
  const seen = async () => {
    const { subject } = await it.demo.create(prospect({ notes: 'personal' }));
    return (await socket.event((e) => e.subject === subject)).data.toString().includes('personal');
  };
  assert.equal(await seen(), false);
  await ctl('user', 'scopes', ada.username, READER);
  const wider = await renewed(ada);
  assert.equal(parse(wider.token).claims.scope, READER);
  assert.equal(await seen(), false, 'as long as the connection has the old token');
  socket.send({ refreshToken: { token: wider.token } });
  socket.send({ ping: { nonce: 1 } });
  await socket.frame('pong');
  assert.equal(await seen(), true);
  socket.send({ refreshToken: { token: ada.token } }); // still valid, and says less
  socket.send({ ping: { nonce: 2 } });
  await socket.frame('pong', (p) => p.nonce === 2);
  assert.equal(await seen(), false);
  socket.send({ refreshToken: { token: 'no token' } });
  const { error } = await socket.frame('error');
  assert.deepEqual([error.code, error.message], ['forbidden', 'the token is no JWT']);
  socket.send({ refreshToken: { token: it.demo.token } });
  await eventually('the end', () => socket.ws.closed);
  assert.equal(socket.ws.closed.code, 4403);
});

test('RefreshToken: without prospects:read events stop, and the connection stays for the outcomes of its commands', LIMIT, async () => {
  const ada = await user('prospects:read prospects:write');
  const { kid, key } = signingKey(it.installation);
  const narrow = mint({ alg: 'ES256', kid }, { ...parse(ada.token).claims, scope: 'prospects:write' }, key);
  const socket = await EventSocket.subscribe(ada, { eventTypes: ['ProspectCreated'] });
  socket.send({ refreshToken: { token: narrow } });
  socket.send({ ping: { nonce: 1 } });
  await socket.frame('pong');
  const taken = prospect();
  const { subject } = await it.demo.create(taken);
  const { json } = await ada.post('/api/prospects', taken);
  const rejected = await socket.event((e) => e.causationId === json.commandId);
  assert.equal(rejected.eventType, 'CommandRejected');
  assert.equal(names(socket.events, subject), 0);
  socket.send({ refreshToken: { token: ada.token } });
  socket.send({ ping: { nonce: 2 } });
  await socket.frame('pong', (p) => p.nonce === 2);
  const again = await it.demo.create(prospect());
  await socket.event((e) => e.subject === again.subject);
  socket.close();
});

test('RefreshToken moves the end of the connection: it comes within a second of the last token\'s, and not before', LIMIT, async () => {
  const ada = await user();
  const { kid, key } = signingKey(it.installation);
  const { claims } = parse(ada.token);
  const until = (seconds) => ({ exp: Math.floor(Date.now() / 1000) + seconds });
  const lasting = (end) => mint({ alg: 'ES256', kid }, { ...claims, ...end }, key);
  const [short, longer] = [until(3), until(6)];
  const client = (token) => Object.assign(Object.create(Client.prototype), ada, { token });
  const [left, kept] = [await EventSocket.subscribe(client(lasting(short))), await EventSocket.subscribe(client(lasting(short)))];
  kept.send({ refreshToken: { token: lasting(longer) } });
  const end = (socket, { exp }) => eventually('the end', () => socket.ws.closed && Date.now() - exp * 1000, 15000);
  const late = await end(left, short);
  assert.ok(late > -50 && late < 1000 * SLOW, `${late} ms after the token`);
  assert.equal(kept.ws.closed, null);
  const later = await end(kept, longer);
  assert.ok(later > -50 && later < 1000 * SLOW, `${later} ms after the token`);
  assert.deepEqual([left.ws.closed.code, kept.ws.closed.code], [4401, 4401]);
});

test('a grant that an operator narrows cuts what has more; with the next token it goes on with less', LIMIT, async () => {
  const ada = await user();
  const hers = await streams(ada);
  await ctl('user', 'scopes', ada.username, 'prospects:read');
  await hers.ended();
  assert.equal(await status(ada), 401);
  const narrower = await renewed(ada);
  assert.equal(parse(narrower.token).claims.scope, 'prospects:read');
  const socket = await EventSocket.subscribe(narrower);
  const { subject } = await it.demo.create(prospect({ notes: 'personal' }));
  assert.ok(!(await socket.event((e) => e.subject === subject)).data.toString().includes('personal'));
  socket.close();
});

// --- who is looking

const presence = (socket, subject) => socket.frames.filter((f) => f.presenceChanged?.subject === subject).map((f) => f.presenceChanged);
/** Once the last that it was told of the subject is this. */
const sees = (socket, subject, users) => eventually(`${users} at ${subject}`, () => presence(socket, subject).at(-1)?.users.join() === users.join(), 10000, 5);

test('presence: who looks at a subject is known to those who ask, once each, until he has gone', LIMIT, async () => {
  const [ada, bob] = [await user('prospects:read'), await user('prospects:read')];
  const [a, b] = [ada.username, bob.username];
  const look = (client, subjects, more) => EventSocket.subscribe(client, { subjects, presence: 1, ...more });
  const first = await look(ada, ['prospect/7']);
  await sees(first, 'prospect/7', [a]);
  assert.deepEqual(presence(first, 'prospect/7').at(-1), { subject: 'prospect/7', users: [a], complete: 1 });
  const [second, again] = [await look(bob, ['prospect/7', 'prospect/8']), await look(bob, ['prospect/7'])];
  for (const socket of [first, second, again]) await sees(socket, 'prospect/7', [a, b]);
  await sees(second, 'prospect/8', [b]);
  // who did not ask hears nothing and is not seen; who asked by a pattern hears of all, and is not seen
  const [silent, over] = [await EventSocket.subscribe(bob, { subjects: ['prospect/7'] }), await look(bob, ['prospect/*'])];
  await sees(over, 'prospect/7', [a, b]);
  await sees(over, 'prospect/8', [b]);
  second.close();
  await sees(over, 'prospect/8', []);
  await sees(first, 'prospect/7', [a, b]);
  again.send({ unsubscribe: { id: 1 } });
  await sees(first, 'prospect/7', [a]);
  await sees(over, 'prospect/7', [a]);
  first.ws.socket.destroy(); // without a word
  await sees(over, 'prospect/7', []);
  assert.deepEqual([silent.frames.some((f) => f.presenceChanged), presence(again, 'prospect/8')], [false, []]);
  for (const socket of [again, silent, over]) socket.close();
});

test('presence: not in another tenant, not without prospects:read, not for more than 32 subjects', LIMIT, async () => {
  await ctl('tenant', 'add', 'elsewhere');
  await ctl('user', 'add', 'stranger', '--tenant', 'elsewhere', '--scopes', 'prospects:read', '--password-stdin');
  const [ada, writer, stranger] = [await user('prospects:read'), await user('prospects:write'), await signIn('stranger')];
  const socket = await EventSocket.subscribe(ada, { subjects: ['prospect/9'], presence: 1 });
  await sees(socket, 'prospect/9', [ada.username]);
  const far = await EventSocket.subscribe(stranger, { subjects: ['prospect/9', 'prospect/*'], presence: 1 });
  await sees(far, 'prospect/9', ['stranger']);
  assert.ok(presence(socket, 'prospect/9').every((p) => !p.users.includes('stranger')));
  assert.ok(far.frames.every((f) => !f.presenceChanged?.users.includes(ada.username)));
  const blind = await EventSocket.open(writer);
  blind.send({ subscribe: { id: 1, subjects: ['prospect/9'], presence: 1 } });
  assert.equal((await blind.frame('error')).error.code, 'forbidden');
  socket.send({ subscribe: { id: 2, subjects: Array.from({ length: 33 }, (_, i) => `prospect/${i + 100}`), presence: 1 } });
  assert.equal((await socket.frame('error')).error.code, 'too_many');
  // a token that may read no longer looks no longer
  const { kid, key } = signingKey(it.installation);
  const watcher = await EventSocket.subscribe(await user('prospects:read'), { subjects: ['prospect/*'], presence: 1 });
  await sees(watcher, 'prospect/9', [ada.username]);
  socket.send({ refreshToken: { token: mint({ alg: 'ES256', kid }, { ...parse(ada.token).claims, scope: 'prospects:write' }, key) } });
  await sees(watcher, 'prospect/9', []);
  for (const s of [socket, far, blind, watcher]) s.close();
});

test('presence: as server-sent events and over gRPC, and of each other', LIMIT, async () => {
  const [ada, bob] = [await user('prospects:read'), await user('prospects:read')];
  const sse = await EventStream.open(ada, '?subjects=prospect/11&presence=true');
  await sse.message('PresenceChanged', (p) => p.subject === 'prospect/11' && p.users.join() === ada.username && p.complete);
  const rpc = grpcClient('events.v1.EventStream', new URL(bob.url).host);
  const stream = rpc.subscribe({ subscribe: { subjects: ['prospect/11'], presence: true } }, metadata(bob.authorization));
  const frames = [];
  stream.on('data', (frame) => frames.push(frame));
  stream.on('error', () => {});
  const both = [ada.username, bob.username].join();
  await eventually('both over gRPC', () => frames.some(({ frame: f }) => f.case === 'presenceChanged' && f.value.users.join() === both));
  await sse.message('PresenceChanged', (p) => p.users.join() === both);
  stream.cancel();
  await eventually('one has gone', () => sse.messages.at(-1).json.users?.join() === ada.username);
  assert.equal((await ada.get('/api/events/stream?presence=yes')).status, 400);
  sse.close();
  rpc.close();
});

test('presence: who does not read is told how it is when he reads', LIMIT, async () => {
  const [ada, bob] = [await user('prospects:read prospects:pii'), await user('prospects:read')];
  const slow = await EventSocket.subscribe(ada, { subjects: ['prospect/*', 'prospect/13'], presence: 1 });
  await sees(slow, 'prospect/13', [ada.username]);
  slow.ws.socket.pause();
  const notes = '一'.repeat(4000);
  await Promise.all(Array.from({ length: 500 }, () => it.demo.post('/api/prospects', prospect({ notes }))));
  const witness = await EventSocket.subscribe(bob, { subjects: ['prospect/13'], presence: 1 });
  await sees(witness, 'prospect/13', [ada.username, bob.username]);
  await eventually('all events', async () => Number((await it.demo.get('/api/prospects?limit=1')).headers['x-events-position']) >= 500);
  witness.close();
  slow.ws.socket.resume();
  await eventually('it reads again', () => slow.frames.some((f) => f.resyncRequired), 30000);
  await sees(slow, 'prospect/13', [ada.username]);
  slow.close();
});

test('presence: comings and goings that follow each other quickly are few frames', LIMIT, async () => {
  const [ada, bob] = [await user('prospects:read'), await user('prospects:read')];
  const watcher = await EventSocket.subscribe(ada, { subjects: ['prospect/12'], presence: 1 });
  const busy = await EventSocket.open(bob);
  const begun = performance.now();
  for (let id = 1; id <= 200; id++) {
    busy.send({ subscribe: { id, subjects: ['prospect/12'], presence: 1 } });
    if (id < 200) busy.send({ unsubscribe: { id } });
  }
  await sees(watcher, 'prospect/12', [ada.username, bob.username]);
  const most = 3 + (performance.now() - begun) / 150;
  assert.ok(presence(watcher, 'prospect/12').length <= most, `${presence(watcher, 'prospect/12').length} frames`);
  watcher.close();
  busy.close();
});

test('presence: after a storm of many everybody knows how it is; one user is seen at 256 subjects', LIMIT, async () => {
  const ada = await user('prospects:read');
  const { kid, key } = signingKey(it.installation);
  const { claims } = parse(ada.token);
  const called = (name) => Object.assign(Object.create(Client.prototype), ada, { token: mint({ alg: 'ES256', kid }, { ...claims, sub: name, name }, key) });
  const SUBSCRIPTIONS = 9, EACH = 30;
  const subjects = (n, id) => Array.from({ length: EACH }, (_, i) => `storm/${n}-${(id - 1) * EACH + i}`);
  const look = (socket, n, id) => socket.send({ subscribe: { id, subjects: subjects(n, id), presence: 1 } });
  const ids = Array.from({ length: SUBSCRIPTIONS }, (_, i) => i + 1);
  const watchers = await Promise.all(Array.from({ length: 20 }, () => EventSocket.subscribe(ada, { subjects: ['storm/*'], presence: 1 })));
  const crowd = await Promise.all(Array.from({ length: 4 }, (_, n) => EventSocket.open(called(`crowd-${n}`))));
  for (let round = 0; round < 5; round++)
    crowd.forEach((socket, n) => ids.forEach((id) => {
      if (round) socket.send({ unsubscribe: { id } });
      look(socket, n, id);
    }));
  crowd.slice(0, 2).forEach((socket) => socket.send({ unsubscribe: { id: 1 } })); // and half of them go from there
  const here = (socket, n, id) => subjects(n, id).filter((s) => presence(socket, s).at(-1)?.users.join() === `crowd-${n}`).length;
  const late = await EventSocket.subscribe(ada, { subjects: ['storm/*'], presence: 1 });
  for (const [socket, n, id, count] of [[watchers[0], 1, 1, 0], [watchers[19], 2, 1, EACH], [watchers[7], 1, 8, EACH], [late, 3, 2, EACH], [crowd[3], 3, 9, 256 - 8 * EACH]])
    await eventually(`${count} of crowd-${n}`, () => here(socket, n, id) === count, 20000);
  assert.deepEqual(presence(crowd[3], 'storm/3-256').at(-1), { subject: 'storm/3-256', complete: 0, users: [] });
  for (const socket of [...watchers, ...crowd, late]) socket.close();
});
