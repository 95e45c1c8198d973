// What `pipeline` stands beside, on a PostgreSQL with the same settings: the job queues pg-boss and graphile-worker (npm,
// locked in peers/), which only store and fetch jobs that do nothing, and COPY in transactions of 256 rows. What is not
// installed is left out with a note.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Postgres } from '../tests/e2e/kit/postgres.mjs';

const require = createRequire(new URL('peers/package.json', import.meta.url));
const BATCH = 1000, COPY_ROWS = 256, PATIENCE_MS = 120000;
const payload = { firstName: 'Ada', lastName: 'Lovelace', email: 'ada@example.org', phone: '+44 20 7946 0000', notes: 'x'.repeat(120) };
const seconds = (since) => Number(process.hrtime.bigint() - since) / 1e9;
const now = () => process.hrtime.bigint();

/** Counts jobs; `all` is fulfilled with the n-th. */
function counter(n) {
  const it = { done: 0 };
  it.all = new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error(`${it.done} of ${n} jobs within ${PATIENCE_MS / 1000} s`)), PATIENCE_MS);
    it.add = (jobs) => {
      if ((it.done += jobs) < n) return;
      clearTimeout(timer);
      done();
    };
  });
  return it;
}

async function inBatches(n, add) {
  const since = now();
  for (let at = 0; at < n; at += BATCH) await add(Array.from({ length: Math.min(BATCH, n - at) }));
  return n / seconds(since);
}

async function pgBoss(url, n) {
  const PgBoss = require('pg-boss'), boss = new PgBoss({ connectionString: url });
  boss.on('error', () => {});
  await boss.start();
  try {
    await boss.createQueue('bench');
    const sent = await inBatches(n, (rows) => boss.insert(rows.map(() => ({ name: 'bench', data: payload }))));
    const jobs = counter(n), since = now();
    await boss.work('bench', { batchSize: BATCH, pollingIntervalSeconds: 0.5 }, async (batch) => jobs.add(batch.length));
    await jobs.all;
    return { sent, worked: n / seconds(since) };
  } finally {
    await boss.stop({ graceful: false, wait: true }).catch(() => {});
  }
}

async function graphile(url, n) {
  const { makeWorkerUtils, run, Logger } = require('graphile-worker');
  const logger = new Logger(() => () => {}), common = { connectionString: url, logger };
  const utils = await makeWorkerUtils(common);
  try {
    await utils.migrate();
    const sent = await inBatches(n, (rows) => utils.addJobs(rows.map(() => ({ identifier: 'bench', payload }))));
    const jobs = counter(n), since = now();
    const worker = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
    const runner = await run({ ...common, concurrency: 24, noHandleSignals: true, pollInterval: 500, preset: { worker },
      taskList: { bench: async () => jobs.add(1) } });
    await jobs.all;
    const worked = n / seconds(since);
    await runner.stop();
    return { sent, worked };
  } finally {
    await utils.release();
  }
}

/** Rows of 220 bytes, a commit for every 256. */
async function copy(url, n) {
  const psql = spawn('psql', ['-X', '-q', '-d', url], { stdio: ['pipe', 'ignore', 'ignore'] });
  const row = `${'x'.repeat(220)}\n`;
  psql.stdin.on('error', () => {}); // its exit code says it
  psql.stdin.write('CREATE TABLE bench_rows (body text NOT NULL);\n');
  const since = now();
  for (let at = 0; at < n; at += COPY_ROWS)
    psql.stdin.write(`BEGIN;\nCOPY bench_rows FROM STDIN;\n${row.repeat(Math.min(COPY_ROWS, n - at))}\\.\nCOMMIT;\n`);
  psql.stdin.end();
  const [code] = await once(psql, 'exit');
  if (code !== 0) throw new Error(`psql ended with ${code}`);
  return { worked: n / seconds(since) };
}

const PEERS = [
  ['pg-boss', 'pg-boss, batches of 1,000', pgBoss],
  ['graphile-worker', 'graphile-worker, local queue of 500', graphile],
  ['copy', 'COPY in transactions of 256 rows', (url, n) => copy(url, n * 10)],
];

/** One round: { name: { title, sent, worked } or { title, missing } }. */
export async function peers(settings, n) {
  const out = {};
  for (const [name, title, measure] of PEERS) {
    const server = await Postgres.startWith(settings, 'peers');
    try {
      out[name] = { title, ...(await measure(server.url('peers'), n)) };
    } catch (error) {
      out[name] = { title, missing: error.message.split('\n')[0] };
    } finally {
      await server.stop();
    }
  }
  return out;
}
