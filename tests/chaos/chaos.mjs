// chaos - eight writers with known intent, three subscribers, and a schedule of everything that can go wrong; then the
// checker.
//
//   node tests/chaos/chaos.mjs [--seconds N | --minutes N] [--seed N] [--engine sqlite|postgresql|rabbitmq]
//
// rabbitmq: the tables are SQLite's; commands wait in a broker, which brings the gateway its events, too.
// The seed makes the schedule, the network's moods and the writers' wishes; when exactly a kill hits is the machine's.
import { parseArgs } from 'node:util';
import { Client } from '../e2e/kit/client.mjs';
import { BUILD, Installation, PROGRAMS } from '../e2e/kit/installation.mjs';
import { Postgres } from '../e2e/kit/postgres.mjs';
import { Rabbitmq } from '../e2e/kit/rabbitmq.mjs';
import { Subscriber } from '../e2e/kit/subscriber.mjs';
import { eventually, sleep } from '../e2e/kit/wait.mjs';
import { check } from './checker.mjs';
import { collect } from './collect.mjs';
import { Clock, Disk } from './machine.mjs';
import { Proxy } from './proxy.mjs';
import { makeSchedule } from './schedule.mjs';
import { Writer } from './writers.mjs';

const WRITERS = 8, SUBSCRIBERS = 3, DISK_MIB = 256, QUIET_MS = 120000, FAULTS_SHOWN = 20;
const ENGINES = ['sqlite', 'postgresql', 'rabbitmq'];
const { values: options } = parseArgs({
  options: { seconds: { type: 'string', default: '15' }, minutes: { type: 'string' }, seed: { type: 'string' }, engine: { type: 'string', default: 'sqlite' } },
});
const ms = options.minutes ? Number(options.minutes) * 60000 : Number(options.seconds) * 1000;
const seed = Number(options.seed ?? 1 + Math.floor(Math.random() * 1e6));
if (!(ms > 0) || !Number.isInteger(seed) || !ENGINES.includes(options.engine)) {
  console.error(`usage: chaos.mjs [--seconds N | --minutes N] [--seed N] [--engine ${ENGINES.join('|')}]`);
  process.exit(64);
}

const again = `again: ./dev test chaos --engine ${options.engine} --seed ${seed}`;

const it = { writers: [], subscribers: [], proxies: {}, counts: {} };
const pids = () => [...(it.installation?.children.values() ?? [])].filter((c) => c.exitCode === null && !c.signalCode).map((c) => c.pid);

async function open() {
  it.disk = new Disk(DISK_MIB);
  it.clock = new Clock(it.disk.folder, BUILD);
  for (const name of ['projection', 'gateway'])
    it.proxies[name] = await Proxy.start(name, seed, () => (name === 'gateway' ? it.installation.plainUrl : it.installation.projectionUrl));
  const env = { ...it.clock.env, EVENTS_ACCESS_TOKEN_SECONDS: '86400', EVENTS_POLL_SECONDS: '1' };
  if (options.engine === 'postgresql') {
    it.postgres = await Postgres.start('events');
    env.EVENTS_WRITE_DB = env.EVENTS_READ_DB = it.postgres.url('events');
  }
  if (options.engine === 'rabbitmq') {
    it.rabbitmq = await Rabbitmq.start({ events: true });
    Object.assign(env, { EVENTS_QUEUE: it.rabbitmq.url(), EVENTS_FANOUT: it.rabbitmq.url('prospect-events') });
  }
  it.installation = await Installation.start({
    folder: it.disk.folder,
    configured: (installation) => (it.installation = installation),
    env,
    programs: { grid: { EVENTS_PROJECTION_LISTEN: it.proxies.projection.address, EVENTS_LISTEN_PLAIN: it.proxies.gateway.address } },
  });
  it.client = await Client.demo(it.installation);
  for (let i = 0; i < SUBSCRIBERS; i++) it.subscribers.push(new Subscriber(it.client));
  for (let i = 0; i < WRITERS; i++) it.writers.push(new Writer(await Client.demo(it.installation), seed, i));
}

/** Until it is ready, however often it has to be started: the disk may be full, the database away. */
async function tryToStart(program) {
  for (let tries = 0; ; tries++) {
    const child = it.installation.children.get(program);
    if (child && child.exitCode === null && !child.signalCode) return;
    try {
      await it.installation.run(program);
      return;
    } catch (error) {
      if (tries > 200) throw error;
      await sleep(200);
    }
  }
}

const starting = new Map();
function start(program) {
  if (!starting.has(program)) starting.set(program, tryToStart(program).finally(() => starting.delete(program)));
  return starting.get(program);
}

async function killed(programs, lasts) {
  await Promise.all(programs.map((program) => it.installation.kill(program)));
  await sleep(lasts);
  await Promise.all(programs.map(start));
}

async function stopped(signal, lasts) {
  signal('SIGSTOP');
  await sleep(lasts);
  signal('SIGCONT');
}

const ACTIONS = {
  kill: (a) => killed([a.program], a.for),
  killAll: (a) => killed(PROGRAMS, a.for),
  stop(a) {
    const child = it.installation.children.get(a.program);
    return stopped((name) => child.kill(name), a.for);
  },
  async network(a) {
    const proxy = it.proxies[it.rabbitmq ? 'projection' : a.to]; // with a broker nothing comes through the gateway's
    proxy.mood = a;
    await sleep(a.for);
    if (proxy.mood === a) proxy.calm();
  },
  async disk(a) {
    it.disk.fill(pids);
    await sleep(a.for);
    it.disk.free(pids);
    if (it.disk.kind !== 'tmpfs') await Promise.all(PROGRAMS.map(start));
  },
  async clock(a) {
    it.clock.wrongBy(a.seconds);
    await sleep(a.for);
    it.clock.wrongBy(0);
  },
  async postgres(a) {
    if (a.how === 'crash') return it.postgres.restart();
    await stopped((name) => it.postgres.signal(name), a.for);
  },
  async rabbitmq(a) {
    if (a.how === 'stop') return stopped((name) => it.rabbitmq.signal(name), a.for);
    await it.rabbitmq.down();
    await sleep(a.for);
    await it.rabbitmq.up();
  },
};

/** Two things never happen to one and the same at a time: what is killed is not stopped as well. */
async function play(schedule) {
  const began = Date.now();
  const busy = new Map();
  const running = [];
  for (const action of schedule) {
    await sleep(Math.max(0, began + action.at - Date.now()));
    const whom = action.kind === 'killAll' ? PROGRAMS : [action.program ?? action.to ?? action.kind];
    if (whom.some((one) => busy.get(one))) continue;
    for (const one of whom) busy.set(one, true);
    it.counts[action.kind] = (it.counts[action.kind] ?? 0) + 1;
    running.push(ACTIONS[action.kind](action).finally(() => whom.forEach((one) => busy.set(one, false))));
  }
  await Promise.all(running);
  await sleep(Math.max(0, began + ms - Date.now()));
}

/** All is well again: what is under way comes to its end. */
async function settle() {
  for (const proxy of Object.values(it.proxies)) proxy.calm();
  await Promise.all(PROGRAMS.map(start));
  for (const writer of it.writers) writer.running = false;
  await Promise.all(it.writers.map((writer) => writer.done));
  if (it.rabbitmq) await Promise.all(it.writers.map((writer) => writer.insist())); // a broker cannot be asked what it has
  const open = () => it.writers.flatMap((writer) => writer.commands.filter((c) => !c.outcome || (c.accepted && c.outcome.status === 'unknown')).map((c) => writer.ask(c)));
  await eventually('every outcome', async () => (await Promise.all(open())).length === 0, QUIET_MS, 100);
  let head;
  await eventually('the subscribers', async () => {
    head = Number((await it.client.get('/api/prospects?limit=1')).headers['x-events-position']);
    return it.subscribers.every((s) => s.position >= head);
  }, QUIET_MS, 100);
}

async function close() {
  for (const s of it.subscribers) await s.stop().catch(() => {});
  for (const proxy of Object.values(it.proxies)) await proxy.stop();
  try {
    await it.installation?.stop();
  } finally {
    it.disk?.remove();
    await it.postgres?.stop();
    await it.rabbitmq?.stop();
  }
}

function report(history, faults) {
  const { projection, gateway } = it.proxies;
  const outcomes = {};
  for (const { outcome } of history.commands) outcomes[outcome?.code ?? outcome?.status] = (outcomes[outcome?.code ?? outcome?.status] ?? 0) + 1;
  console.log(`happened: ${Object.entries(it.counts).map(([kind, n]) => `${n} ${kind}`).join(', ')}; disk by ${it.disk.kind}, clock ${it.clock.works ? 'by preload' : 'not stepped'}`);
  console.log(`deliveries lost ${projection.lost + gateway.lost}, doubled ${projection.doubled + gateway.doubled}, late ${projection.delayed + gateway.delayed}`);
  console.log(`commands: ${history.commands.length} (${Object.entries(outcomes).map(([code, n]) => `${n} ${code}`).join(', ')}); events: ${history.log.length}; prospects: ${history.write.length}`);
  for (const fault of faults.slice(0, FAULTS_SHOWN)) console.log(`FAULT ${fault}`);
  console.log(faults.length ? `${faults.length} faults; ${again}` : 'all well');
}

async function main() {
  console.log(`chaos for ${ms / 1000} s on ${options.engine}, seed ${seed}`);
  await open();
  const can = ['disk', ...(it.clock.works ? ['clock'] : []), ...(it.postgres ? ['postgres', 'postgres'] : []), ...(it.rabbitmq ? ['rabbitmq', 'rabbitmq'] : [])];
  await play(makeSchedule(seed, ms, can));
  await settle();
  const history = await collect(it);
  const faults = check(history);
  report(history, faults);
  return faults.length ? 1 : 0;
}

let code = 1;
try {
  code = await main();
} catch (error) {
  console.error(`${error.stack}\n${it.installation?.logs() ?? ''}\n${again}`);
} finally {
  for (const writer of it.writers) writer.running = false;
  await close().catch((error) => {
    console.error(error.message);
    code = 1;
  });
}
process.exit(code);
