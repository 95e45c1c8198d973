// ./dev bench overload: what is left of the peak when twice as much is asked for.
//
// All programs have processor 0, the load program processor 1. The peak is what comes of a closed loop that keeps the
// gateway busy. Then the load is an open loop at twice that rate: the requests are sent when they are due, whether or not
// earlier ones were answered. Every answer is 200, or 503 at once; how long both take, refusals included, is shown.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Client } from '../tests/e2e/kit/client.mjs';
import { Installation, PROGRAMS } from '../tests/e2e/kit/installation.mjs';
import { CLIENT_CORE, pin, run, SERVER_CORE } from './http_load.mjs';

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '5' } },
});
const ROUNDS = Number(options.rounds), SECONDS = Number(options.seconds);
const ROWS_SEEDED = 200, CLIENTS = 64, IN_FLIGHT = 200, BAR = 0.8;

const number = (text, pattern) => Number(pattern.exec(text)?.[1] ?? NaN);
const MS = { us: 0.001, ms: 1, s: 1000 };

/** { offered, good, refused: a second; worst, mean: ms }. */
async function load(url, headers, args) {
  const fields = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const text = await run('taskset', ['-c', String(CLIENT_CORE), 'h2load', '-t1', ...args, ...fields, url]);
  const seconds = number(text, /finished in ([\d.]+)s/), done = number(text, /(\d+) done/);
  const good = number(text, /status codes: (\d+) 2xx/), refused = number(text, /, (\d+) 5xx/);
  if (good + refused !== done || number(text, /(\d+) timeout/)) throw new Error(`not every request was answered 200 or 503\n${text}`);
  const [, worst, worstUnit, mean, meanUnit] = /time for request:\s+\S+\s+([\d.]+)(us|ms|s)\s+([\d.]+)(us|ms|s)/.exec(text);
  const rate = number(text, /, ([\d.]+) req\/s/);
  return { offered: rate, good: (rate * good) / done, refused: (rate * refused) / done, seconds, worst: worst * MS[worstUnit], mean: mean * MS[meanUnit] };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

async function overload(url, headers) {
  const peak = await load(url, headers, ['-c16', '-m4', `-D${SECONDS}`, '--warm-up-time=1']);
  if (peak.refused) throw new Error('the closed loop was refused something');
  const rps = Math.ceil((2 * peak.good) / CLIENTS);
  const open = await load(url, headers, [`-c${CLIENTS}`, `-m${IN_FLIGHT}`, `-n${CLIENTS * rps * SECONDS}`, `--rps=${rps}`]);
  return { peak, open, kept: open.good / peak.good };
}

const installation = await Installation.start();
try {
  const demo = await Client.demo(installation);
  const csv = path.join(installation.home, 'rows.csv');
  const rows = Array.from({ length: ROWS_SEEDED }, (_, i) => `First${'abcdefghij'[i % 10]},Last,over.load.${i}@example.org,,`);
  writeFileSync(csv, ['firstName,lastName,email,phone,notes', ...rows, ''].join('\n'));
  const { code, stderr } = await installation.ctl('import', csv);
  if (code) throw new Error(stderr);
  for (const program of PROGRAMS) await pin(installation.children.get(program).pid, SERVER_CORE);
  const results = {};
  for (const [name, base] of [['clear', installation.plainUrl], ['TLS', installation.url]]) {
    const rounds = [];
    for (let i = 0; i < ROUNDS; i++) rounds.push(await overload(`${base}/api/prospects?limit=20`, demo.authorization));
    const of = (pick) => median(rounds.map(pick));
    results[name] = { peak: of((r) => r.peak.good), offered: of((r) => r.open.offered), good: of((r) => r.open.good), kept: of((r) => r.kept), mean: of((r) => r.open.mean), worst: of((r) => r.open.worst) };
    const { peak, offered, good, kept, mean, worst } = results[name];
    console.log(`GET /api/prospects, ${name.padEnd(5)} peak ${peak.toFixed()}/s; of ${offered.toFixed()}/s offered ${good.toFixed()}/s were answered, the rest refused: ` +
      `${(100 * kept).toFixed()}% of the peak (bar ${100 * BAR}%${kept >= BAR ? '' : ', MISSED'}); all answers ${mean.toFixed(1)} ms on average, ${worst.toFixed()} ms at worst`);
  }
  console.log(JSON.stringify({ bench: 'overload', rounds: ROUNDS, results }));
} finally {
  await installation.stop();
}
