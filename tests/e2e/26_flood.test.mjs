// Floods over HTTP/2 and TLS, each from a process of its own: what an innocent client feels meanwhile, what memory it
// costs, and under which name it is counted.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { call } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { sleep, SLOW } from './kit/wait.mjs';

const it = {};
before(async () => {
  it.installation = await Installation.start({ env: { EVENTS_THREADS: '1' } }); // the innocent shares the loop
  it.url = it.installation.plainUrl;
});
after(() => it.installation?.stop());

const run = promisify(execFile);
const FLOOD = fileURLToPath(new URL('kit/flood.mjs', import.meta.url));

async function metric(cause) {
  const { body } = await call(`http://${it.installation.admin.gateway}/metrics`);
  return Number(body.toString().match(new RegExp(`^events_http_defences_total\\{cause="${cause}"\\} (\\d+)$`, 'm'))?.[1]);
}

function residentMiB() {
  const status = readFileSync(`/proc/${it.installation.children.get('gateway').pid}/status`, 'utf8');
  return Number(status.match(/VmRSS:\s+(\d+)/)[1]) / 1024;
}

/** Milliseconds of calls, one after the other, while `during` is pending. */
async function latencies(during) {
  const took = [];
  let over = false;
  during.finally(() => (over = true)).catch(() => {});
  while (!over) {
    const from = performance.now();
    assert.equal((await call(`${it.url}/health/live`)).status, 200);
    took.push(performance.now() - from);
    await sleep(2);
  }
  return took.sort((a, b) => a - b);
}

for (const [kind, cause] of [['resets', 'rapid_reset'], ['faults', 'invalid_frames'], ['requests', null]]) {
  test(`a flood of ${kind} over TLS costs the others little`, async (t) => {
    const counted = cause && (await metric(cause));
    const before = residentMiB();
    const port = new URL(it.installation.url).port;
    const flood = run(process.execPath, [FLOOD, kind, `127.0.0.1:${port}`, '1000']);
    const took = await latencies(flood);
    const grown = residentMiB() - before;
    const { connections, bytes } = JSON.parse((await flood).stdout);
    const at = (share) => took[Math.floor(share * (took.length - 1))];
    t.diagnostic(`${connections} connections, ${(bytes / 2 ** 20).toFixed(1)} MiB; innocent p50 ${at(0.5).toFixed(1)} ms, ` +
      `p99 ${at(0.99).toFixed(1)} ms, worst ${at(1).toFixed(1)} ms of ${took.length}; memory grew by ${grown.toFixed(1)} MiB`);
    assert.ok(at(0.5) < 50 * SLOW, `half of the innocent calls took longer than ${at(0.5)} ms`);
    assert.ok(at(1) < 1000 * SLOW, `an innocent call took ${at(1)} ms`);
    assert.ok(grown < 64 * SLOW, `memory grew by ${grown} MiB`);
    if (cause) assert.ok((await metric(cause)) - counted >= connections / 2, `${cause} is not counted`);
  });
}
