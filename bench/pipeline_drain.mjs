// After an outage of the topic: the real programs, events-grid stopped while commands go on, then started again. How fast
// does the backlog reach the read model, and what does a new command wait for its 202 meanwhile?
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import http2 from 'node:http2';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client } from '../tests/e2e/kit/client.mjs';
import { BUILD, Installation } from '../tests/e2e/kit/installation.mjs';
import { eventually } from '../tests/e2e/kit/wait.mjs';

const IN_FLIGHT = 64, PATIENCE_MS = 300000, LOOK_MS = 20;
const run = promisify(execFile);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** A number of a program's own metrics. */
async function metric(installation, program, name) {
  const text = await (await fetch(`http://${installation.admin[program]}/metrics`)).text();
  return Number(text.match(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'm'))?.[1] ?? 0);
}
const held = (installation) => metric(installation, 'projection', 'events_projection_held');

async function post(installation, count) {
  const demo = await Client.demo(installation);
  const session = http2.connect(installation.plainUrl), faults = new Map();
  const headers = { ':method': 'POST', ':path': '/api/prospects', 'content-type': 'application/json', authorization: `Bearer ${demo.token}` };
  let next = 0;
  const one = async () => {
    const number = next++, stream = session.request(headers);
    stream.end(JSON.stringify({ firstName: 'Out', lastName: `Age-${number}`, email: `outage.${number}@example.org` }));
    const [answer] = await once(stream, 'response');
    stream.resume();
    if (answer[':status'] !== 202) faults.set(answer[':status'], (faults.get(answer[':status']) ?? 0) + 1);
    await once(stream, 'close');
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
    while (next < count) await one();
  }));
  session.close();
  if (faults.size) throw new Error(`commands were not accepted: ${JSON.stringify([...faults])}`);
}

/** New commands at a steady rate, as bench-path tells it: { accept_ms, path_ms, ... }. */
async function steady(installation, rate, seconds) {
  const { stdout } = await run(path.join(BUILD, 'bench', 'bench-path'),
    ['--rate', String(rate), '--seconds', String(seconds), '--burst', '0'], { env: installation.env, maxBuffer: 16 << 20 });
  return JSON.parse(stdout.trimEnd().split('\n').at(-1)).steady;
}

/** peak: commands a second of all the programs together. */
export async function drain(env, backlog, peak) {
  const installation = await Installation.start({ env });
  try {
    const rate = Math.max(1, Math.round(peak / 10)), seconds = Math.max(2, Math.ceil(backlog / peak));
    const before = await steady(installation, rate, seconds);
    await eventually('a quiet pipeline', async () => (await held(installation)) === rate * seconds, PATIENCE_MS);
    const first = await held(installation);
    const grid = installation.children.get('grid');
    grid.kill('SIGTERM');
    await grid.exited;
    await post(installation, backlog);
    await eventually('the commands done', async () =>
      (await metric(installation, 'prospects', 'events_prospects_events_total')) >= first + backlog, PATIENCE_MS);
    await installation.run('grid');
    const since = performance.now();
    // Until the first event is there, which events-grid's ring at its start brings about: part of an outage, not of the drain.
    while ((await held(installation)) === first) await sleep(LOOK_MS);
    const began = performance.now(), from = await held(installation), during = steady(installation, rate, seconds);
    while ((await held(installation)) < first + backlog) await sleep(LOOK_MS);
    const took = performance.now() - began;
    return { backlog, rate, waited_s: (began - since) / 1000, per_second: ((first + backlog - from) * 1000) / took, before, during: await during };
  } finally {
    await installation.stop();
  }
}
