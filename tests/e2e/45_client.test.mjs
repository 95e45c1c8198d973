// The client library, in Node, against real programs: loading a page and following it from exactly where it was read,
// through writes, a gateway that is killed, and tokens that end.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from './kit/client.mjs';
import { eventsClient, LIBRARY, README } from './kit/events_client.mjs';
import { LONG } from './kit/imports.mjs';
import { Installation } from './kit/installation.mjs';
import { grpcClient, unary } from './kit/rpc.mjs';
import { mint, parse, signingKey } from './kit/token.mjs';
import { eventually, SHORT, sleep } from './kit/wait.mjs';

const it = { steps: 0 };
const TOKEN_SECONDS = 8; // renewed after half of it
const JOINS = LONG ? 10000 : SHORT ? 100 : 300;
const A_ROUND = 320; // joins that live at the same time
const A_CONNECTION = 32; // the server's limit of subscriptions
const STREAMS = Math.ceil(Math.min(JOINS, A_ROUND) / A_CONNECTION);
const PAGE = 200; // everybody is on one page
const WRITERS = 4;

before(async () => {
  it.installation = await Installation.start();
  it.demo = await Client.demo(it.installation);
  it.queries = grpcClient('events.v1.ProspectQueries', new URL(it.demo.url).host);
  it.renewing = followWithShortTokens();
  for (let i = 0; i < 20; i++) await it.demo.post('/api/prospects', person(i));
  it.accepted = 20;
  await settled();
});

after(async () => {
  it.renewing?.client.stop();
  it.queries?.close();
  await it.installation?.stop();
});

const person = (i, step = 0) => ({ firstName: `Step ${step}`, lastName: `Person ${i}`, email: `person${i}@example.org` });

async function state() {
  const { status, json, headers } = await it.demo.get(`/api/prospects?limit=${PAGE}`);
  assert.equal(status, 200);
  return { items: json.items, after: BigInt(headers['x-events-position']), epoch: headers['x-events-epoch'] };
}

/** Every command adds one version: the state that shows all that were accepted. */
function settled() {
  return eventually('the last command to be shown', async () => {
    const all = await state();
    return all.items.reduce((sum, row) => sum + row.version, 0) === it.accepted && all;
  }, 60000, 50);
}

async function stateByGrpc() {
  const { reply, error } = await unary(it.queries, 'listProspects', { limit: PAGE }, it.demo.authorization);
  assert.ifError(error);
  const items = reply.items.map((row) => ({ ...row, prospectId: Number(row.prospectId), version: Number(row.version) }));
  return { items, after: reply.position, epoch: reply.epoch };
}

const essence = (row) => `${row.version} ${row.firstName} ${row.lastName} ${row.email}`;

/** Whoever has loaded a page and follows it: applies each event, and notes where the versions have a hole. */
class Follower {
  holes = [];
  ids = new Set();
  repeated = 0;

  constructor(client, { items, after: position, epoch }, skip = 0n) {
    this.rows = new Map(items.map((row) => [`prospect/${row.prospectId}`, row]));
    this.subscription = client.subscribe({
      subjects: ['prospect/*'],
      start: { after: position + skip, epoch },
      onEvent: (event) => this.#take(event),
    });
  }

  #take({ eventId, subject, version, data }) {
    if (this.ids.has(eventId)) this.repeated++;
    this.ids.add(eventId);
    const have = this.rows.get(subject)?.version ?? 0;
    if (version !== have + 1) this.holes.push(`${subject}: ${version} after ${have}`);
    this.rows.set(subject, { ...data, version });
  }

  /** For the message of a failed test: where it is, and what it has otherwise than the server. */
  differs({ items, after: position }) {
    const { state, position: own } = this.subscription;
    const others = items.filter((row) => essence(row) !== essence(this.rows.get(`prospect/${row.prospectId}`) ?? {}));
    return `${state} at ${own} of ${position}; ${this.rows.size} of ${items.length} rows; ${others.slice(0, 3).map((row) => JSON.stringify([row, this.rows.get(`prospect/${row.prospectId}`)]))}`;
  }

  equals({ items }) {
    return items.length === this.rows.size && items.every((row) => {
      const own = this.rows.get(`prospect/${row.prospectId}`);
      return own && essence(own) === essence(row);
    });
  }
}

/** Changes people, and now and then makes one, until told to stop; gives up what the gateway does not take. */
function write(perSecond) {
  let running = true;
  const writer = async () => {
    while (running) {
      const { items } = await state().catch(() => ({ items: [] }));
      for (const row of items.sort(() => Math.random() - 0.5).slice(0, 25)) {
        if (!running) break;
        const step = ++it.steps;
        const made = step % 25 === 0 && items.length < PAGE - 40;
        const sent = made ? it.demo.post('/api/prospects', person(`new${step}`))
          : it.demo.send('PUT', `/api/prospects/${row.prospectId}`, person(row.lastName.slice(7), step), { 'if-match': '*' });
        const reply = await sent.catch(() => ({}));
        if (reply.status === 202) it.accepted++;
        await sleep(1000 * WRITERS / perSecond);
      }
    }
  };
  const done = Promise.all(Array.from({ length: WRITERS }, writer));
  return () => ((running = false), done);
}

/** One client whose tokens end all the time; nobody but it knows. */
function followWithShortTokens() {
  const { kid, key } = signingKey(it.installation);
  const { header, claims } = parse(it.demo.token);
  const renewed = [];
  const fresh = () => mint({ ...header, kid }, { ...claims, exp: Math.floor(Date.now() / 1000) + TOKEN_SECONDS }, key);
  let token = fresh();
  const client = eventsClient(it.demo, {
    token: async (stale) => {
      if (stale === token) renewed.push((token = fresh()));
      return token;
    },
  });
  const events = [];
  client.subscribe({ onEvent: (event) => events.push({ at: Date.now(), event }) });
  return { client, renewed, events, began: Date.now() };
}

test(`${JOINS} joins at random moments of writing all end equal to the server`, { timeout: LONG ? 600000 : 120000 }, async () => {
  const streams = Array.from({ length: STREAMS }, () => eventsClient(it.demo));
  const planted = eventsClient(it.demo);
  for (let left = JOINS; left > 0; left -= A_ROUND) {
    const stop = write(SHORT ? 100 : 250);
    await sleep(300);
    const wrong = new Follower(planted, await state(), 5n); // as if the position had been a little late
    const followers = await Promise.all(Array.from({ length: Math.min(left, A_ROUND) }, async (_, i) => {
      await sleep(Math.random() * 3000);
      const page = await (i % 3 === 2 ? stateByGrpc() : state());
      return new Follower(streams[i % STREAMS], page);
    }));
    await sleep(300);
    await stop();
    const end = await settled();
    for (const follower of followers) {
      await eventually('a join equal to the server', () => follower.equals(end), 20000, 10);
      assert.deepEqual([follower.holes, follower.repeated], [[], 0]);
      follower.subscription.close();
    }
    assert.notDeepEqual(wrong.holes, [], 'a wrong position is noticed');
    wrong.subscription.close();
    assert.ok(followers.filter((follower) => follower.ids.size > 0).length > followers.length / 2, 'most joined while it was written');
  }
  for (const client of [...streams, planted]) client.stop();
  assert.deepEqual(streams.flatMap((client) => client.errors), []);
});

test('tokens end and are renewed in place: one connection, and the events go on', { timeout: 60000 }, async () => {
  const { client, renewed, events, began } = it.renewing;
  await eventually('two renewals', () => renewed.length >= 2, 30000);
  await eventually('the first token to have ended', () => Date.now() > began + (TOKEN_SECONDS + 1.5) * 1000, 30000);
  const { commandId } = (await it.demo.post('/api/prospects', person('late'))).json;
  it.accepted++;
  await eventually('the event', () => events.find(({ event }) => event.causationId === commandId));
  assert.deepEqual(client.phases, ['connecting', 'live']);
  assert.deepEqual(client.errors, []);
});

test('the gateway is killed while they follow: nothing is missed, nothing comes twice', { timeout: 90000 }, async () => {
  const clients = Array.from({ length: 3 }, () => eventsClient(it.demo));
  const page = await state();
  const followers = clients.map((client) => new Follower(client, page));
  const whole = new Follower(clients[0], { ...page, items: [], after: 0n });
  const stop = write(150);
  const allLive = () => eventually('all to be live', () => clients.every((client) => client.state.get().phase === 'live'), 40000);
  for (let i = 0; i < 2; i++) {
    await allLive();
    await sleep(500);
    await it.installation.kill('gateway');
    await it.installation.run('gateway');
  }
  await allLive();
  await sleep(300);
  await stop();
  for (const follower of [...followers, whole]) {
    await eventually('a follower equal to the server', async () => follower.equals(await state()) || Promise.reject(new Error(follower.differs(await state()))), 30000, 50);
    assert.deepEqual([follower.holes, follower.repeated], [[], 0]);
  }
  for (const client of clients) {
    assert.ok(client.phases.filter((phase) => phase === 'live').length >= 3, client.phases.join());
    client.stop();
  }
});

test("the README's example follows", { timeout: 60000 }, async () => {
  const [, example] = /```js\n(.*?)```/s.exec(README);
  const file = path.join(it.installation.home, 'follow.mjs');
  writeFileSync(file, example);
  copyFileSync(LIBRARY, path.join(it.installation.home, 'events-client.js'));
  const child = spawn(process.execPath, ['--experimental-websocket', '--no-warnings', file, it.demo.url, 'demo', it.demo.password]);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text));
  try {
    await eventually('the page', () => /^there is \d+ \d+$/m.test(said), 20000);
    const { subject } = await it.demo.create(person('example'));
    await eventually('the event', () => said.includes(`ProspectCreated ${subject} 1`) || Promise.reject(new Error(said)), 20000);
  } finally {
    child.kill('SIGKILL');
  }
});
