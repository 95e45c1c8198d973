// ./dev bench resume: how fast events of the replay log reach clients that come back: a long backlog to one reader, and what
// 1,000 missed meanwhile to all of them at once; and how often the database is read for it.
//
// The projection has written the events (bench-projector: its own code, into the installation's read.db). The gateway has
// processor 0, the clients processor 1, unless --free. It is started anew for each run: its ring of recent events is empty,
// so that everything comes from the log.
import { parseArgs } from 'node:util';
import path from 'node:path';
import { Client } from '../tests/e2e/kit/client.mjs';
import { BUILD, getStatus, Installation } from '../tests/e2e/kit/installation.mjs';
import { eventually } from '../tests/e2e/kit/wait.mjs';
import { CLIENT_CORE, pin, run, SERVER_CORE } from './http_load.mjs';

const { values: options } = parseArgs({
  options: {
    events: { type: 'string', default: '200000' },
    rounds: { type: 'string', default: '5' },
    clients: { type: 'string', default: '1000' },
    missed: { type: 'string', default: '500' }, // by each of the many
    free: { type: 'boolean', default: false }, // both may use both processors
  },
});
const EVENTS = Number(options.events), CLIENTS = Number(options.clients), MISSED = Number(options.missed);
const ROWS = [
  { name: 'one', title: `one reader, ${EVENTS} events`, n: 1, after: 0, bar: 100000, goal: 500000 },
  { name: 'many', title: `${CLIENTS} readers at once, ${MISSED} events each`, n: CLIENTS, after: EVENTS - MISSED },
];
const PAGES = 'events_gateway_log_pages_total';

async function pages(installation) {
  const text = await (await fetch(`http://${installation.admin.gateway}/metrics`)).text();
  return Number(new RegExp(`^${PAGES} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

async function measure(installation, row, token) {
  await installation.kill('gateway');
  await installation.run('gateway');
  const pid = installation.children.get('gateway').pid, at = installation.plainUrl.replace('http://', '');
  await eventually('the gateway serves', async () => (await getStatus(`${installation.plainUrl}/api/health`)) > 0);
  if (!options.free) await pin(pid, String(SERVER_CORE));
  const before = await pages(installation);
  const client = [path.join(BUILD, 'bench/bench-fanout'), 'wire=events', `at=${at}`, `publish=${at}`, `pids=${pid}`, `token=${token}`, `n=${row.n}`, `after=${row.after}`];
  const text = await run('taskset', ['-c', options.free ? `${SERVER_CORE},${CLIENT_CORE}` : String(CLIENT_CORE), ...client]);
  const got = JSON.parse(text), expected = row.n * (EVENTS - row.after);
  if (got.deliveries !== expected) throw new Error(`${got.deliveries} of ${expected} events came`);
  return { ...got, reads: ((await pages(installation)) - before) / row.n };
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) / 2)];

function figure(samples) {
  const of = (name) => samples.map((s) => s[name]), rates = of('per_second');
  return { perSecond: median(rates), least: Math.min(...rates), most: Math.max(...rates), us: median(of('us')), reads: median(of('reads')),
    server: median(of('server_busy')), client: median(of('client_busy')) };
}

async function main() {
  const installation = await Installation.start({ env: { EVENTS_THREADS: '1', EVENTS_ACCESS_TOKEN_SECONDS: '86400' } });
  const out = { bench: 'resume', events: EVENTS, clients: CLIENTS, missed: MISSED, rows: {} }, samples = {};
  try {
    const { token } = await Client.demo(installation);
    for (const program of ['projection', 'relay']) await installation.kill(program);
    await run(path.join(BUILD, 'bench/bench-projector'), [`sqlite:${installation.home}/db/read.db`, String(EVENTS), '2000']);
    for (let round = 0; round < Number(options.rounds); round++)
      for (const row of ROWS) (samples[row.name] ??= []).push(await measure(installation, row, token));
    console.log('                                             events a second [least - most]     us of the gateway each   reads of the log for each client');
    for (const row of ROWS) {
      const f = (out.rows[row.name] = figure(samples[row.name]));
      console.log(`${row.title.padEnd(42)} ${f.perSecond.toFixed(0).padStart(9)} [${f.least} - ${f.most}]`.padEnd(84) + `${f.us.toFixed(2).padStart(9)} ${f.reads.toFixed(2).padStart(24)}` +
        `   processors ${(f.server * 100).toFixed(0)}%, ${(f.client * 100).toFixed(0)}%`);
      for (const kind of ['bar', 'goal']) if (row[kind]) console.log(`  ${kind.padEnd(5)} ${f.perSecond >= row[kind] ? 'reached' : 'MISSED '} (${row[kind]})`);
    }
    console.log(JSON.stringify(out, (key, value) => (typeof value === 'number' ? Number(value.toFixed(3)) : value)));
  } finally {
    await installation.stop();
  }
}

await main();
