// Three gateways behind a TCP balancer, fed by a broker: a rolling restart under many clients who resume with their
// position while others write. Nothing is lost, nothing out of order. In the long form there are 3,000, the commands wait
// in the broker, too, and nobody meets a herd.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { call, JSON_TYPE } from './kit/client.mjs';
import { Follower } from './kit/follower.mjs';
import { Gateways } from './kit/gateways.mjs';
import { LONG } from './kit/imports.mjs';
import { eventually, sleep } from './kit/wait.mjs';
import { EventSocket, WebSocketClient } from './kit/websocket.mjs';

const CLIENTS = LONG ? 3000 : 300, WRITERS = 3, PAUSE_MS = LONG ? 60 : 15;
const it = { made: 0 };

before(async () => {
  it.gateways = await Gateways.start({ commands: LONG });
  it.clients = await Promise.all(it.gateways.names.map((name) => it.gateways.client(name)));
  it.everywhere = await it.gateways.client();
});
after(() => it.gateways?.stop());

const metric = async (name, wanted) => {
  const { body } = await call(`http://${it.gateways.installation.admin[name]}/metrics`);
  return Number(new RegExp(`^${wanted} (\\d+)`, 'm').exec(body)?.[1] ?? 0);
};

test('an event reaches the clients of every gateway, by the broker', async () => {
  for (const name of it.gateways.names) { // each has its queue a moment after it is ready
    await eventually(`${name} attached`, async () => {
      await it.everywhere.post('/api/prospects', { firstName: 'At', lastName: 'Tached', email: `attached-${++it.made}@example.org` });
      await sleep(100);
      return await metric(name, 'events_gateway_received_total') > 0;
    }, 60000);
  }
  const sockets = await Promise.all(it.clients.map((client) => EventSocket.subscribe(client)));
  for (const client of it.clients) {
    const { json } = await client.post('/api/prospects', { firstName: 'Three', lastName: 'Gates', email: `gates-${++it.made}@example.org` });
    await Promise.all(sockets.map((socket) => socket.event((e) => e.causationId === json.commandId)));
    for (const other of it.clients) assert.equal((await other.outcome(json.commandId)).status, 'succeeded'); // the queue is one, too
  }
  for (const socket of sockets) socket.close();
});

test('who has logged in at one is known to all: token, ticket, refresh token and its family', async () => {
  const [one, two, three] = it.clients.map(({ url }) => url);
  const post = (url, path, body, headers = {}) => call(url + path, { method: 'POST', headers: { ...JSON_TYPE, ...headers }, body: JSON.stringify(body) });
  const login = await post(one, '/api/auth/login', { username: 'demo', password: it.clients[0].password });
  const bearer = { authorization: `Bearer ${login.json.accessToken}` };
  assert.equal((await call(`${two}/api/prospects?limit=1`, { headers: bearer })).status, 200);
  const { json: { ticket } } = await post(two, '/api/auth/ticket', {}, bearer);
  const byTicket = () => WebSocketClient.open(`${three}/ws/events?ticket=${ticket}`);
  (await byTicket()).close();
  await assert.rejects(byTicket, { status: 401 }, 'it serves once, wherever');
  const refreshed = await post(three, '/api/auth/refresh', { refreshToken: login.json.refreshToken });
  assert.equal(refreshed.status, 200);
  assert.equal((await post(one, '/api/auth/refresh', { refreshToken: login.json.refreshToken })).status, 401, 'used already, elsewhere');
  assert.equal((await post(two, '/api/auth/refresh', { refreshToken: refreshed.json.refreshToken })).status, 401, 'its family is revoked, everywhere');
});

/** Creates prospects and changes them, with the same command id until it is accepted. */
async function write(over, accepted) {
  const send = async (method, path, body) => {
    const command = { ...body, commandId: crypto.randomUUID() };
    for (;;) {
      const reply = await it.everywhere.send(method, path, command, { 'if-match': '*' }).catch(() => null);
      if (reply?.status === 202) return accepted.push(command.commandId);
      assert.ok(!reply || reply.status === 503, `HTTP ${reply?.status} ${reply?.body}`);
      await sleep(50);
    }
  };
  while (!over()) {
    const prospect = { firstName: 'Roll', lastName: 'Ing', email: `rolling-${++it.made}@example.org` };
    await send('POST', '/api/prospects', prospect);
    const { subject } = await it.everywhere.outcome(accepted.at(-1)).catch(() => ({}));
    for (let i = 0; subject && i < 3; i++) {
      await send('PUT', `/api/prospects/${subject.split('/')[1]}`, { ...prospect, notes: `${i}` });
      await sleep(PAUSE_MS);
    }
  }
}

async function followers() {
  const all = Array.from({ length: CLIENTS }, () => new Follower(it.everywhere));
  for (let i = 0; i < CLIENTS; i += 100) await Promise.all(all.slice(i, i + 100).map((follower) => follower.start()));
  return all;
}

test('a rolling restart under load: nothing is lost, and nothing out of order', async (t) => {
  const all = await followers(), accepted = [], restarts = [];
  let over = false;
  try {
    const writers = Promise.all(Array.from({ length: WRITERS }, () => write(() => over, accepted)));
    await sleep(500);
    for (const name of it.gateways.names) {
      const from = performance.now(), took = await it.gateways.restart(name);
      restarts.push({ name, from, took });
      await sleep(LONG ? 4000 : 300);
      await eventually('all are back', () => all.every((f) => f.ends.every((end) => end.back)), 60000, 100);
    }
    over = true;
    await writers;
    const outcomes = await Promise.all(accepted.map((id) => it.everywhere.outcome(id)));
    assert.deepEqual(outcomes.filter((o) => o.status !== 'succeeded'), []);
    const head = Number((await it.everywhere.get('/api/prospects?limit=1')).headers['x-events-position']);
    const missing = (f) => Array.from({ length: head - f.from }, (_, i) => f.from + 1 + i).filter((n) => !f.numbers.has(n));
    await eventually('all events are with all clients', () => all.every((f) => f.numbers.size >= head - f.from), 30000, 100).catch(() => {});
    assert.deepEqual(all.flatMap(missing), []);
    assert.deepEqual(all.flatMap((f) => f.faults), []);
    const ends = all.flatMap((f) => f.ends);
    assert.ok(ends.length >= CLIENTS, `${ends.length} connections have ended`);
    assert.deepEqual(ends.filter((end) => end.code !== 1001 || !(end.asked >= 200 && end.asked <= 2000)), []);
    t.diagnostic(`${CLIENTS} clients, ${accepted.length} commands, ${ends.length} ends, ${all.reduce((sum, f) => sum + f.refused, 0)} refused; ` +
      `gateways ended after ${restarts.map((r) => Math.round(r.took)).join(', ')} ms`);
    if (LONG) noHerd(t, restarts, ends);
  } finally {
    over = true;
    all.forEach((follower) => follower.stop());
  }
});

/** How many of these moments lie in the fullest half second. */
function fullest(moments) {
  const slots = new Map();
  for (const at of moments) slots.set(Math.floor(at / 500), (slots.get(Math.floor(at / 500)) ?? 0) + 1);
  return Math.max(...slots.values());
}

/** Of those whom a gateway has sent away, how many were told to come back in the same half second? When they are back is
 *  for the eye: one process plays all of them. Sent away all at once, it would be a third. */
function noHerd(t, restarts, ends) {
  for (const { name, from, took } of restarts) {
    const its = ends.filter((end) => end.at > from && end.at < from + took + 500);
    const together = fullest(its.map((end) => end.at + end.asked)), back = its.map((end) => end.back);
    t.diagnostic(`${name}: ${its.length} sent away within ${Math.round(took)} ms, told to come back at most ${together} in half a second; ` +
      `back within ${Math.round(Math.max(...back) - from)} ms, at most ${fullest(back)} in half a second`);
    assert.ok(together < its.length / 4, `${name}: ${together} of ${its.length} were to come back together`);
  }
}
