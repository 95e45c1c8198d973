// Resuming under fire: many write (PostgreSQL), deliveries to the gateway come late, twice, in another order or never, and
// subscribers join, leave and come back at random. Nobody misses anything, and of each subject nobody sees a version
// before the one below it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Proxy } from '../chaos/proxy.mjs';
import { random } from '../chaos/random.mjs';
import { Client } from './kit/client.mjs';
import { LONG } from './kit/imports.mjs';
import { Installation } from './kit/installation.mjs';
import { Postgres } from './kit/postgres.mjs';
import { Subscriber } from './kit/subscriber.mjs';
import { eventually, sleep } from './kit/wait.mjs';

const WRITERS = LONG ? 64 : 8, SUBSCRIBERS = LONG ? 60 : 12, MS = LONG ? 60000 : 3000;
const SEED = Number(process.env.EVENTS_SEED ?? Math.floor(Math.random() * 1e6));
const BAD = { lose: LONG ? 0.001 : 0.02, double: 0.2, delay: 0.02, overtaken: 0.3 };
const it = { dice: random(SEED, 'resume'), subscribers: [], running: true };

before(async () => {
  it.postgres = await Postgres.start('events');
  it.proxy = await Proxy.start('gateway', SEED, () => it.installation.plainUrl);
  const url = it.postgres.url('events');
  await Installation.start({
    configured: (installation) => (it.installation = installation),
    env: { EVENTS_WRITE_DB: url, EVENTS_READ_DB: url },
    programs: { grid: { EVENTS_LISTEN_PLAIN: it.proxy.address } },
  });
  it.demo = await Client.demo(it.installation);
});
after(async () => {
  try {
    it.running = false;
    await Promise.all(it.subscribers.map((s) => s.stop()));
    await it.proxy?.stop();
    await it.installation?.stop();
  } finally {
    await it.postgres?.stop();
  }
});

/** A prospect after the other, each changed a few times. */
async function write(number) {
  const change = async (method, path, body, headers) => {
    const { status, json } = await it.demo.send(method, path, body, headers);
    assert.equal(status, 202);
    return it.demo.outcome(json.commandId);
  };
  for (let i = 0; it.running; i++) {
    const person = { firstName: 'Re', lastName: `Sume${i}`, email: `resume.${number}.${i}@example.org` };
    const { subject } = await change('POST', '/api/prospects', person);
    for (let version = 1; version < 4 && it.running; version++)
      await change('PUT', `/api/prospects/${subject.split('/')[1]}`, { ...person, notes: `${version}` }, { 'if-match': `"${version}"` });
  }
}

/** Whole and in order, whatever happens between. */
function join(faults) {
  const subscriber = new Subscriber(it.demo), versions = new Map();
  subscriber.onEvent = ({ subject, subjectVersion }) => {
    const expected = (versions.get(subject) ?? 0) + 1;
    if (subjectVersion !== expected) faults.push(`${subject}: version ${subjectVersion} instead of ${expected}`);
    versions.set(subject, subjectVersion);
  };
  it.subscribers.push(subscriber);
}

/** Every few milliseconds somebody joins, or is cut off, or leaves in good order and stays away for a while. */
async function disturb(faults) {
  while (it.running) {
    if (it.subscribers.length < SUBSCRIBERS) join(faults);
    const one = it.dice.pick(it.subscribers);
    one.awayMs = it.dice.chance(0.3) ? it.dice.below(1500) : 0;
    if (it.dice.chance(0.5)) one.socket?.close();
    else one.socket?.ws.socket.destroy();
    await sleep(20 + it.dice.below(60));
  }
}

async function eventIds() {
  const ids = [];
  for (let after = 0; ;) {
    const { status, json, headers } = await it.demo.get(`/api/events?after=${after}`);
    assert.equal(status, 200);
    if (!json.length) return ids;
    ids.push(...json.map((e) => e.id));
    after = Number(headers['x-events-position']);
  }
}

test('nothing is missed and no subject runs backwards, while everything comes and goes', async (t) => {
  const faults = [];
  it.proxy.mood = { ...BAD, lose: 1 }; // at least one is lost, whatever the dice say
  const disturbing = disturb(faults), writers = Array.from({ length: WRITERS }, (_, i) => write(i));
  const all = Promise.all([disturbing, ...writers]);
  await Promise.race([all, eventually('a lost delivery', () => it.proxy.lost > 0, 30000)]);
  it.proxy.mood = BAD;
  await Promise.race([all, sleep(MS)]);
  const disturbed = () => it.proxy.doubled > 0 && it.proxy.overtaken > 0; // on a slow machine few are delivered meanwhile
  await Promise.race([all, eventually('deliveries that were doubled, and overtaken', disturbed, 30000)]);
  it.running = false;
  await all;
  it.proxy.calm();
  const expected = await eventIds(); // of commands whose outcomes are known
  for (const [i, subscriber] of it.subscribers.entries()) {
    await eventually(`subscriber ${i} has all ${expected.length} events (seed ${SEED})`, () => expected.every((id) => subscriber.ids.has(id)), 30000);
    assert.deepEqual(subscriber.resyncs, [], `subscriber ${i}`);
  }
  assert.deepEqual(faults, [], `seed ${SEED}`);
  t.diagnostic(`${expected.length} events to ${it.subscribers.length} subscribers; deliveries lost ${it.proxy.lost}, doubled ${it.proxy.doubled}, late ${it.proxy.delayed}, overtaken ${it.proxy.overtaken}; seed ${SEED}`);
});
