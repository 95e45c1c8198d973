// Slow readers: some of many subscribers read a kilobyte a second while far more comes. Nobody is disconnected, what waits
// for them is dropped and told ("lagging"), they go on by themselves, and in the end all have every event in its order. Who
// reads quickly does not notice. The subscribers are bench-fanout's (bench/fanout.c): each checks every number, and Node can't
// make a receive buffer small.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Client } from './kit/client.mjs';
import { LONG } from './kit/imports.mjs';
import { BUILD, Installation } from './kit/installation.mjs';
import { SHORT, SLOW } from './kit/wait.mjs';

const MEBIBYTE = 1 << 20, QUEUE = MEBIBYTE;
const SMALL = { receive_buffer: 16384 }, DEFAULT = {};
// So much an event that what a slow one is sent exceeds its queue and the kernel's buffers well before the end.
const BRIEF = { n: SHORT ? 60 : 150, slow: 20, payload: 4000, rate: 60, seconds: 6 };
const MANY = { n: 5000, slow: 100, payload: 2000, rate: 20 };
const CALM = 8; // events a second to 5,000: half of what the loops can do, so that a percentile is not that of a queue
const it = {};

before(async () => {
  it.installation = await Installation.start({ env: { EVENTS_ACCESS_TOKEN_SECONDS: '86400' } });
  it.token = (await Client.demo(it.installation)).token;
  it.secret = readFileSync(path.join(it.installation.home, 'secrets/webhook'), 'utf8').trim();
  it.pid = it.installation.children.get('gateway').pid;
});
after(() => it.installation?.stop());

const resident = () => Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${it.pid}/status`, 'utf8'))[1]) * 1024;

/** { p99, lagged, consistent } of one run. */
async function run({ rate, ...plan }) {
  const at = it.installation.plainUrl.replace('http://', '');
  const operands = { wire: 'events', at, publish: at, token: it.token, secret: it.secret, modes: `rate:${rate}`, slow_rate: 1024, ...plan };
  const { stdout } = await promisify(execFile)(path.join(BUILD, 'bench/bench-fanout'), Object.entries(operands).map((pair) => pair.join('=')));
  return Object.assign({}, ...stdout.trim().split('\n').map((line) => JSON.parse(line)));
}

/** Where one misses an event, gets one out of order or is disconnected, run() fails. */
async function consistent(plan) {
  const before = resident(), got = await run(plan);
  assert.equal(got.consistent, plan.n);
  assert.ok(got.lagged >= plan.slow, `${got.lagged} times that a queue was dropped`);
  if (SLOW === 1) assert.ok(resident() - before < plan.slow * QUEUE + 64 * MEBIBYTE, 'memory stays within the queues');
}

test('slow readers lag, are told so and end complete', () => consistent({ ...BRIEF, ...SMALL }));

for (const [name, buffer] of [['a small receive buffer', SMALL], ['the default receive buffer', DEFAULT]])
  test(`100 of 5,000 for two minutes with ${name}; the others do not notice`, { skip: LONG ? false : 'takes long: --long' }, async (t) => {
    const calm = { ...MANY, rate: CALM, seconds: 20 }, ratios = [];
    for (let pair = 0; pair < 5; pair++) {
      const alone = await run({ ...calm, n: MANY.n - MANY.slow, slow: 0 }), beside = await run({ ...calm, ...buffer });
      ratios.push(beside.p99 / alone.p99);
    }
    ratios.sort((a, b) => a - b);
    t.diagnostic(`the others' 99th percentile, times that without slow ones: ${ratios.map((r) => r.toFixed(2)).join(' ')}`);
    await consistent({ ...MANY, ...buffer, seconds: 120 });
    assert.ok(ratios[2] < 1.15, `the others' 99th percentile moved by ${ratios[2].toFixed(2)}`);
  });
