// Programs on different machines ring each other over HTTP: here each has a home of its own, so that no bell of a
// neighbour is in reach, and an hour between two looks, so that only a ring can bring work.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { call, Client, JSON_TYPE } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { eventually, SLOW } from './kit/wait.mjs';
import { EventSocket } from './kit/websocket.mjs';

const AT_ONCE = 10000 * SLOW, SECRET = 'hush-internal';
const APART = ['relay', 'projection', 'gateway', 'prospects'];
const it = { homes: [], n: 0 };

/** On a machine of its own: another home, with its own file, whose settings name the databases of the others. */
async function runRelayApart() {
  const home = mkdtempSync(path.join(tmpdir(), 'events-far-'));
  it.homes.push(home);
  const { env } = it.installation;
  const db = path.join(it.installation.home, 'db');
  for (const name of readdirSync(db).filter((name) => name.startsWith('relay.db'))) {
    mkdirSync(path.join(home, 'db'), { recursive: true });
    renameSync(path.join(db, name), path.join(home, 'db', name));
  }
  const file = (name) => `sqlite:${path.join(it.installation.home, 'db', name)}`;
  it.installation.env = { ...env, EVENTS_HOME: home, EVENTS_WRITE_DB: file('write.db'), EVENTS_READ_DB: file('read.db') };
  await it.installation.run('relay');
  it.installation.env = env;
}

before(async () => {
  it.installation = await Installation.start({ env: {
    EVENTS_POLL_SECONDS: '3600', EVENTS_INTERNAL_SECRET: `${SECRET},older`, EVENTS_GRID_KEY: 'a2V5', EVENTS_WEBHOOK_SECRET: 'hook',
  } });
  const { installation } = it;
  for (const program of APART) await installation.kill(program);
  installation.env.EVENTS_PEERS = APART.map((program) => `${program}=${installation.admin[program]}`).join(',');
  await Promise.all(['projection', 'gateway', 'prospects'].map((program) => installation.run(program)));
  await runRelayApart();
  it.demo = await Client.demo(installation);
});
after(async () => {
  await it.installation?.stop();
  for (const home of it.homes) rmSync(home, { recursive: true, force: true });
});

async function roundTrip() {
  const socket = await EventSocket.subscribe(it.demo), begun = Date.now();
  const { json } = await it.demo.post('/api/prospects', { firstName: 'Far', lastName: 'Bell', email: `far-${++it.n}@example.org` });
  await socket.event((e) => e.causationId === json.commandId);
  await it.demo.outcome(json.commandId);
  socket.close();
  assert.ok(Date.now() - begun < AT_ONCE, `${Date.now() - begun} ms`);
}

test('a command goes through at once', async () => {
  for (let i = 0; i < 3; i++) await roundTrip();
});

test('what happened while a program was away goes on when it is back', async () => {
  for (const program of ['projection', 'prospects']) {
    await it.installation.kill(program);
    const { json } = await it.demo.post('/api/prospects', { firstName: 'Far', lastName: 'Away', email: `${program}@example.org` });
    await it.installation.run(program);
    const begun = Date.now();
    await eventually('the outcome', async () => (await it.demo.get(`/api/commands/${json.commandId}`)).json.status === 'succeeded', 30000);
    assert.ok(Date.now() - begun < AT_ONCE, `${program}: ${Date.now() - begun} ms`);
  }
  await roundTrip();
});

const post = (program, where, body, token = SECRET) => call(`http://${it.installation.admin[program]}${where}`,
  { method: 'POST', headers: { ...JSON_TYPE, ...(token ? { authorization: `Bearer ${token}` } : {}) }, body });

test('the admin address takes rings from who knows the secret', async () => {
  for (const token of ['', 'wrong', `${SECRET},older`]) assert.equal((await post('relay', '/doorbell', '{}', token)).status, 401);
  for (const program of APART) {
    assert.equal((await post(program, '/doorbell', '{}')).status, 204, program);
    assert.equal((await post(program, '/doorbell', '{}', 'older')).status, 204, program);
    assert.equal((await post(program, '/doorbell', '{"last":1}')).status, 400, program);
    assert.equal((await post(program, '/repair', '{"from":1,"to":2}')).status, program === 'relay' ? 204 : 404, program);
  }
  const { status, headers, json } = await post('relay', '/repair', '{"from":2,"to":1}');
  assert.equal(status, 400);
  assert.equal(headers['content-type'], 'application/problem+json');
  assert.equal(json.status, 400);
  assert.equal((await call(`http://${it.installation.admin.relay}/doorbell`)).status, 405);
});

test('a user who is disabled elsewhere is cut off at once', async () => {
  const { installation } = it, { env } = installation;
  const ctl = async (...args) => {
    const { code, stderr } = await installation.ctlWith({ input: 'some-password\n' }, ...args);
    assert.deepEqual([code, stderr], [0, '']);
  };
  await ctl('user', 'add', 'ada', '--tenant', 'demo', '--scopes', 'prospects:read', '--password-stdin');
  const ada = await new Client(it.demo.url, { username: 'ada', password: 'some-password' }).login();
  const socket = await EventSocket.subscribe(ada), begun = Date.now();
  // on a machine where no gateway's bell is in reach
  installation.env = { ...env, EVENTS_HOME: it.homes[0], EVENTS_USERS_DB: `sqlite:${path.join(installation.home, 'db', 'users.db')}` };
  await ctl('user', 'disable', 'ada');
  installation.env = env;
  await eventually('the end', () => socket.ws.closed, AT_ONCE / SLOW);
  assert.equal(socket.ws.closed.code, 4401);
  assert.equal((await ada.get('/api/event-types')).status, 401);
  assert.ok(Date.now() - begun < AT_ONCE, `${Date.now() - begun} ms`);
});
