// ./dev bench pipeline: commands a second through each stage alone and through all of them, on SQLite and on PostgreSQL,
// with syncs, beside what the engine takes when the service's rows are only inserted, and beside other job queues; through
// the real programs, from the POST over HTTP to the event on a WebSocket; and how a backlog drains after an outage of the
// topic.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { BUILD, Installation } from '../tests/e2e/kit/installation.mjs';
import { Postgres } from '../tests/e2e/kit/postgres.mjs';
import { drain } from './pipeline_drain.mjs';
import { peers } from './pipeline_peers.mjs';

const { values: options } = parseArgs({
  options: {
    commands: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '3' },
    workers: { type: 'string', default: '2' },
    engines: { type: 'string', default: 'sqlite,postgresql' },
    http: { type: 'string', default: '5000' },
    peers: { type: 'string', default: '10000' },
    backlog: { type: 'string', default: '20000' },
  },
});
const BARS = { sqlite: { bar: 4000, goal: 15000 }, postgresql: { bar: 3000, goal: 10000 } };
const LATE = { p50: 2, p99: 10 }, DRAIN = 0.8, KEPT = 2;
const STAGES = [
  ['enqueue', 'enqueue alone'],
  ['service', 'service alone'],
  ['relay', 'relay alone'],
  ['projection', 'projection alone'],
  ['together', 'all together, without HTTP'],
  ['http', 'the programs, POST to WebSocket'],
  ['limit', "only the service's rows, 256 commands a commit"],
];

const run = promisify(execFile);
const program = async (name, args, env) => {
  const { stdout } = await run(path.join(BUILD, 'bench', name), args, { env: { ...process.env, ...env }, maxBuffer: 16 << 20 });
  return JSON.parse(stdout.trimEnd().split('\n').at(-1));
};

/** Seconds of processor time of a process with all its threads and the children that it has outlived. */
function processorSeconds(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return { parent: Number(fields[1]), seconds: fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100 };
  } catch {
    return { parent: 0, seconds: 0 }; // it has just ended
  }
}

function processorOf(installation, server) {
  const out = {};
  for (const [name, child] of installation.children) out[name] = processorSeconds(child.pid).seconds;
  if (!server) return out;
  out.postgres = processorSeconds(server.server.pid).seconds;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const { parent, seconds } = processorSeconds(pid);
    if (parent === server.server.pid) out.postgres += seconds;
  }
  return out;
}

const SETTINGS = ['shared_buffers=256MB', 'max_wal_size=4GB'];
const durable = () => Postgres.startWith(SETTINGS, 'events', 'events_read');
const environment = (server) => ({
  EVENTS_WORKERS: options.workers,
  ...(server ? { EVENTS_WRITE_DB: server.url('events'), EVENTS_READ_DB: server.url('events_read') } : {}),
});

async function stages(engine) {
  const home = mkdtempSync(path.join(tmpdir(), 'events-pipeline-'));
  const server = engine === 'postgresql' ? await durable() : undefined;
  try {
    const where = server ? ['--server', server.url('events'), '--server-read', server.url('events_read')] : [];
    return await program('bench-pipeline', ['--home', home, '--commands', options.commands, '--workers', options.workers, ...where]);
  } finally {
    await server?.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

async function programs(engine) {
  const server = engine === 'postgresql' ? await durable() : undefined;
  let installation;
  try {
    installation = await Installation.start({ env: environment(server) });
    const before = processorOf(installation, server);
    const { burst, steady } = await program('bench-path', ['--rate', '20', '--seconds', '1', '--burst', options.http], installation.env);
    if (burst.lost || burst.refused) throw new Error(`${burst.lost} commands lost, ${burst.refused} refused`);
    const after = processorOf(installation, server), commands = burst.commands + steady.commands;
    const cost = Object.fromEntries(Object.keys(after).map((name) => [name, Math.round(((after[name] - before[name]) * 1e6) / commands)]));
    return { http: burst.commands / burst.seconds, cost };
  } finally {
    await installation?.stop();
    await server?.stop();
  }
}

async function outage(engine, peak) {
  const server = engine === 'postgresql' ? await durable() : undefined;
  try {
    return await drain(environment(server), Number(options.backlog), peak);
  } finally {
    await server?.stop();
  }
}

const verdict = (reached, what) => `${reached ? 'reached' : 'MISSED'} (${what})`;

function tellPeers(rounds) {
  console.log('  beside, on a PostgreSQL of the same settings:');
  return Object.fromEntries(Object.entries(rounds[0]).map(([name, { title, missing }]) => {
    const figure = (key) => Math.round(median(rounds.map((round) => round[name][key] ?? 0)));
    const got = missing ? { missing } : { stored: figure('sent'), worked: figure('worked') };
    console.log(`    ${title.padEnd(44)} ${missing ? `left out: ${missing}` : String(got.worked).padStart(10)}${got.stored ? `    stored ${got.stored}` : ''}`);
    return [name, got];
  }));
}

function tellOutage({ backlog, rate, per_second, waited_s, before, during }, peak) {
  const ms = ({ p50, p99 }) => `${p50.toFixed(1)} ms, 99% ${p99.toFixed(1)} ms`;
  console.log(`  after an outage of the topic, ${backlog} events wait and ${rate} commands a second come:`);
  console.log(`    drained, a second ${String(Math.round(per_second)).padStart(8)}: ${verdict(per_second >= DRAIN * peak, `${DRAIN * 100}% of ${peak}`)}; found back after ${waited_s.toFixed(1)} s`);
  console.log(`    POST to 202: ${ms(during.accept_ms)}; before: ${ms(before.accept_ms)}: ${verdict(during.accept_ms.p99 <= KEPT * before.accept_ms.p99, `99% at most ${KEPT} times that`)}`);
  console.log(`    their events are behind the backlog: ${ms(during.path_ms)}`);
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const out = { bench: 'pipeline', commands: Number(options.commands) };
for (const engine of options.engines.split(',')) {
  const runs = [], beside = [];
  for (let i = 0; i < Number(options.rounds); i++) {
    const figures = await stages(engine);
    if (engine === 'postgresql' && Number(options.peers)) beside.push(await peers(SETTINGS, Number(options.peers)));
    runs.push({ ...figures, ...(Number(options.http) ? await programs(engine) : { http: 0, cost: {} }) });
  }
  const got = (out[engine] = { commit_to_publish_ms: {} });
  console.log(`\n${engine.padEnd(48)} commands/s    spread`);
  for (const [key, title] of STAGES) {
    const all = runs.map((figures) => figures[key]);
    got[key] = Math.round(median(all));
    console.log(`  ${title.padEnd(46)} ${String(got[key]).padStart(10)}    ${Math.round(Math.min(...all))} - ${Math.round(Math.max(...all))}`);
  }
  got.processor_us = Object.fromEntries(Object.keys(runs[0].cost).map((name) => [name, median(runs.map(({ cost }) => cost[name]))]));
  console.log(`  us of processor for each command of these: ${Object.entries(got.processor_us).map((each) => each.join(' ')).join(', ')}`);
  for (const [kind, least] of Object.entries(BARS[engine])) console.log(`    ${kind.padEnd(5)} ${verdict(got.together >= least, least)}`);
  for (const [rank, most] of Object.entries(LATE)) {
    const late = (got.commit_to_publish_ms[rank] = median(runs.map((figures) => figures.commit_to_publish_ms[rank])));
    console.log(`  commit to publish at a tenth of that, ${rank}: ${late.toFixed(2)} ms, ${verdict(late <= most, most)}`);
  }
  if (beside.length) got.peers = tellPeers(beside);
  if (!Number(options.backlog) || !got.http) continue;
  got.outage = await outage(engine, got.http);
  tellOutage(got.outage, got.http);
}
console.log(JSON.stringify(out));
