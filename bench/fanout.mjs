// ./dev bench fanout: what one delivery of an event to one WebSocket costs, beside what it costs others, in one run.
//
// The server has processor 0 (one event loop), the load program processor 1. What counts is the server's own processor
// time for each delivery. Rounds are interleaved; medians and spread are shown. Our events come by the webhook, as Event
// Grid delivers them, and go to signed-in users; each is a whole envelope, heavier than the others' 220 bytes by its ids.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Client } from '../tests/e2e/kit/client.mjs';
import { BUILD, Installation } from '../tests/e2e/kit/installation.mjs';
import { startPeers } from './fanout_peers.mjs';
import { CLIENT_CORE, pin, run, SERVER_CORE } from './http_load.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false }, // fewer rounds, shorter: for a look, not for a claim
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    rows: { type: 'string', default: '' }, // names that begin with one of these
    against: { type: 'string', default: 'nats,mqtt,nchan,ws' },
  },
});
const ROUNDS = Number(options.rounds ?? (options.quick ? 2 : 5));
const SECONDS = Number(options.seconds ?? (options.quick ? 1 : 3));
const PATIENCE = 60; // seconds to connect in; a server that has lost one of a burst would be waited for without end
const AGAINST = options.against.split(',').filter(Boolean);

const MODES = { alone: 'rate:100', half: 'rate:50', single: 'window:1:1', burst: 'window:64:32', trickle: 'window:64:1' };
const TITLES = { alone: 'alone, 100 a second', half: 'alone, 50 a second', single: 'alone, one at a time', burst: 'bursts of 32', trickle: 'trickling, 64 on their way' };
// What cannot be installed here by name: deliveries a processor second of uWebSockets (C++), measured by the same method
// on the same kind of machine, and its latencies at 50 events a second.
const UWS = { alone: 129000, burst: 2500000, trickle: 300000, p50: 4.4, p99: 13.6 };

// bar, goal: [peer or 'uws', times as many deliveries per processor second]
const AT_1000 = [
  { mode: 'alone', bar: [['uws', 1], ['nats', 1.2]], goal: [['uws', 1.2]] },
  { mode: 'half', latency: true },
  { mode: 'burst', bar: [['nats', 1.5]], goal: [['uws', 1.5]] },
  { mode: 'trickle', bar: [['nats', 1.2]], goal: [['nats', 2]] },
];
const OTHER_SIZE = [{ mode: 'single' }, { mode: 'burst' }, { mode: 'trickle' }];
const OURS = [{ mode: 'alone' }, { mode: 'burst' }];
// near: times the processor time of the row `plain` that it may cost
const ROWS = [
  { name: 'n1000', title: '1,000 subscribers', n: 1000, modes: AT_1000, peers: true },
  { name: 'n100', title: '100 subscribers', n: 100, modes: OTHER_SIZE, peers: true },
  { name: 'n5000', title: '5,000 subscribers', n: 5000, modes: OTHER_SIZE, peers: true },
  { name: 'plain', title: '1,000 subscribers, the same gateway without more', n: 1000, modes: OURS },
  { name: 'others', title: '... and 5,000 of another subject', n: 1000, modes: OURS, with: ['others=5000'], near: 1.15 },
  { name: 'filter', title: '... with filters by type and subject', n: 1000, modes: OURS, with: ['filter=1'], near: 1.15 },
  { name: 'masked', title: '... all without personal data', n: 1000, modes: OURS, masked: 1, near: 1.15 },
  { name: 'half_masked', title: '... half of them without personal data', n: 1000, modes: OURS, masked: 2, near: 1.15 },
  { name: 'tls', title: '... over TLS 1.3', n: 1000, modes: OURS, tls: true },
];

/* --- sides --- */

async function install() {
  const installation = await Installation.start({ env: { EVENTS_THREADS: '1', EVENTS_ACCESS_TOKEN_SECONDS: '86400' } });
  const demo = await Client.demo(installation);
  const input = 'a password that is long enough\n', scopes = 'prospects:read prospects:write';
  const made = await installation.ctlWith({ input }, 'user', 'add', 'masked', '--tenant', 'demo', '--scopes', scopes, '--password-stdin');
  if (made.code) throw new Error(made.stderr);
  const masked = await new Client(installation.plainUrl, { username: 'masked', password: input.trim() }).login();
  return { installation, token: demo.token, masked: masked.token, pids: [installation.children.get('gateway').pid],
    secret: readFileSync(path.join(installation.home, 'secrets/webhook'), 'utf8').trim() };
}

const local = (url) => url.replace(/^https?:\/\/(localhost|127.0.0.1)/, '127.0.0.1');

function operands(row, mode, name, setup) {
  const common = [`wire=${name}`, `n=${row.n}`, `seconds=${SECONDS}`, `modes=${MODES[mode]}`];
  if (name !== 'events') {
    const { at, publish, pids } = setup.peers[name];
    return [...common, `at=127.0.0.1:${at}`, `publish=127.0.0.1:${publish}`, `pids=${pids}`];
  }
  const { installation, token, masked, secret, pids } = setup.ours, plain = local(installation.plainUrl);
  return [...common, `at=${row.tls ? local(installation.url) : plain}`, `publish=${plain}`, `pids=${pids}`, `token=${token}`,
    `secret=${secret}`, `masked_token=${masked}`, `masked_every=${row.masked ?? 0}`, `tls=${row.tls ? 1 : 0}`, ...(row.with ?? [])];
}

/** What a client saw of one server: connections of its own for each mode, so that one that fails takes no other along. */
async function measure(row, mode, name, setup) {
  const program = ['-c', String(CLIENT_CORE), path.join(BUILD, 'bench/bench-fanout'), ...operands(row, mode, name, setup)];
  return JSON.parse(await run('taskset', program, { timeout: (SECONDS + PATIENCE) * 1000 }));
}

/* --- figures --- */

const sorted = (list) => [...list].sort((a, b) => a - b);
const median = (list) => sorted(list)[Math.floor((list.length - 1) / 2)];
const thousands = (value) => `${(value / 1000).toFixed(value < 1e6 ? 1 : 0)} k`;

function figure(samples) {
  const us = sorted(samples.map((s) => s.us)), of = (name) => median(samples.map((s) => s[name]));
  return { us: median(us), least: us[0], most: us.at(-1), perCpuSecond: 1e6 / median(us), perSecond: of('per_second'), busyUs: of('busy_us'),
    server: of('server_busy'), client: of('client_busy'), p50: of('p50'), p99: of('p99') };
}

function say(kind, reached, text) {
  console.log(`    ${kind.padEnd(5)} ${reached ? 'reached' : 'MISSED '} ${text}`);
}

function verdicts(mode, figures) {
  const ours = figures.events;
  if (mode.latency) {
    say('bar', ours.p50 <= UWS.p50 && ours.p99 <= UWS.p99, `p50 ${ours.p50} p99 ${ours.p99} ms (uWebSockets ${UWS.p50}, ${UWS.p99})`);
    return;
  }
  for (const kind of ['bar', 'goal'])
    for (const [peer, times] of mode[kind] ?? []) {
      const other = peer === 'uws' ? UWS[mode.mode] : figures[peer]?.perCpuSecond;
      if (other) say(kind, ours.perCpuSecond >= times * other, `${(ours.perCpuSecond / other).toFixed(2)} x ${peer} (${times} x)`);
    }
}

function printRow(row, figures, out) {
  console.log(row.title);
  for (const mode of row.modes) {
    console.log(`  ${TITLES[mode.mode]}`);
    for (const [name, f] of Object.entries(figures[mode.mode]))
      console.log(`    ${name.padEnd(8)} ${f.us.toFixed(2).padStart(6)} us [${f.least.toFixed(2)} - ${f.most.toFixed(2)}]`.padEnd(38) +
        `${thousands(f.perCpuSecond).padStart(9)} per CPU-s ${thousands(f.perSecond).padStart(9)} per s   p50 ${f.p50.toFixed(1)} p99 ${f.p99.toFixed(1)} ms   ` +
        `processors ${(f.server * 100).toFixed(0)}%, ${(f.client * 100).toFixed(0)}%`);
    verdicts(mode, figures[mode.mode]);
    const base = out.rows.plain?.[mode.mode]?.events.us, ours = figures[mode.mode].events.us;
    if (row.near && base) say('bar', ours <= row.near * base, `${(ours / base).toFixed(2)} x the row without (${row.near} x)`);
  }
}

/* --- the run --- */

async function rounds(tasks, setup, notes) {
  const samples = new Map();
  for (let round = 0; round < ROUNDS; round++)
    for (const { row, mode, name } of tasks(round)) {
      const key = `${row.name} ${mode} ${name}`;
      try {
        samples.set(key, [...(samples.get(key) ?? []), await measure(row, mode, name, setup)]);
      } catch (error) {
        if (name === 'events') throw error;
        notes.push(`${row.name} ${mode}: a run of ${name} is left out: ${error.message.split('\n')[0]}`);
      }
    }
  return samples;
}

/** What is run in a round, the sides in turn: those of one mode stand side by side in time. */
function tasksOf(rows, peers) {
  return (round) => rows.flatMap((row) => row.modes.flatMap(({ mode }) => {
    const sides = ['events', ...(row.peers ? Object.keys(peers) : [])];
    return (round % 2 ? sides.reverse() : sides).map((name) => ({ row, mode, name }));
  }));
}

async function main() {
  const folder = mkdtempSync(path.join(tmpdir(), 'events-bench-')), wanted = options.rows.split(',');
  const out = { bench: 'fanout', rounds: ROUNDS, seconds: SECONDS, rows: {} };
  let peers = { peers: {}, notes: [], stop() {} }, ours;
  try {
    ours = await install();
    peers = await startPeers(folder, AGAINST);
    const setup = { ours, peers: peers.peers };
    for (const pid of [...ours.pids, ...Object.values(peers.peers).flatMap(({ pids }) => pids)]) await pin(pid, String(SERVER_CORE));
    const rows = ROWS.filter((row) => wanted.some((begin) => row.name.startsWith(begin)));
    const samples = await rounds(tasksOf(rows, peers.peers), setup, peers.notes);
    console.log('processor time of the server for one delivery: median [least - most]\n');
    for (const row of rows) {
      const figures = Object.fromEntries(row.modes.map(({ mode }) => [mode, Object.fromEntries(['events', ...AGAINST]
        .filter((name) => samples.has(`${row.name} ${mode} ${name}`))
        .map((name) => [name, figure(samples.get(`${row.name} ${mode} ${name}`))]))]));
      out.rows[row.name] = figures;
      printRow(row, figures, out);
    }
    for (const note of peers.notes) console.log(`note: ${note}`);
    out.notes = peers.notes;
    console.log(JSON.stringify(out, (key, value) => (typeof value === 'number' ? Number(value.toFixed(3)) : value)));
  } finally {
    peers.stop();
    await ours?.installation.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
