// ./dev bench idle: what a WebSocket costs that does nothing: memory of the gateway for each, with its session and one
// subscription, in the clear and over TLS; and what the kernel takes besides, for both ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Client } from '../tests/e2e/kit/client.mjs';
import { BUILD, Installation } from '../tests/e2e/kit/installation.mjs';
import { sleep } from '../tests/e2e/kit/wait.mjs';

const { values: options } = parseArgs({
  options: { plain: { type: 'string', default: '15000' }, tls: { type: 'string', default: '3000' } },
});
const CLIENTS = 3, WARM_UP = 200, SETTLE_MS = 3000;
const ROWS = [
  { name: 'plain', title: 'in the clear', count: Number(options.plain), bar: 6144, goal: 2048 },
  { name: 'tls', title: 'over TLS 1.3', count: Number(options.tls), tls: true, bar: 16384, goal: 14336 },
];

const field = (file, name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(file, 'utf8'))[1]) * 1024;
const memory = (pid) => ({ user: field(`/proc/${pid}/status`, 'RssAnon'), kernel: field('/proc/meminfo', 'Slab') });

async function open(address, token, count, source, tls) {
  const child = spawn(path.join(BUILD, 'bench/bench-idle'), [address, token, String(count), source, ...(tls ? ['tls'] : [])],
    { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`bench-idle ended with ${code}`);
  });
  ended.catch(() => {}); // awaited only until it is open
  await Promise.race([once(child.stdout, 'data'), ended]);
  return { close: () => (child.stdin.end(), ended.catch(() => {})) };
}

// A gateway of its own for each row: what one leaves to the allocator would be lent to the other.
async function measure(row) {
  const installation = await Installation.start({ env: { EVENTS_THREADS: '1', EVENTS_ACCESS_TOKEN_SECONDS: '86400' } });
  const clients = [];
  try {
    const { token } = await Client.demo(installation);
    const address = row.tls ? installation.url.replace('https://localhost', '127.0.0.1') : installation.plainUrl.replace('http://', '');
    const pid = installation.children.get('gateway').pid;
    clients.push(await open(address, token, WARM_UP, '127.0.1.1', row.tls));
    await sleep(SETTLE_MS);
    const before = memory(pid), begun = Date.now();
    const shares = Array.from({ length: CLIENTS }, (_, i) => Math.floor((row.count - WARM_UP + i) / CLIENTS));
    clients.push(...(await Promise.all(shares.map((share, i) => open(address, token, share, `127.0.${i + 2}.1`, row.tls)))));
    const seconds = (Date.now() - begun) / 1000;
    await sleep(SETTLE_MS);
    const after = memory(pid), more = row.count - WARM_UP;
    return { count: row.count, user: (after.user - before.user) / more, kernel: (after.kernel - before.kernel) / more, perSecond: more / seconds };
  } finally {
    await Promise.all(clients.map((client) => client.close()));
    await installation.stop();
  }
}

const out = { bench: 'idle' };
console.log('bytes for each idle WebSocket          number   gateway   kernel, both ends   opened per s');
for (const row of ROWS.filter((each) => each.count > WARM_UP)) {
  const got = (out[row.name] = await measure(row));
  console.log(`${row.title.padEnd(38)} ${String(got.count).padStart(6)} ${got.user.toFixed(0).padStart(9)} ${got.kernel.toFixed(0).padStart(19)} ${got.perSecond.toFixed(0).padStart(14)}`);
  for (const kind of ['bar', 'goal']) console.log(`  ${kind.padEnd(5)} ${got.user <= row[kind] ? 'reached' : 'MISSED '} (${row[kind]})`);
}
console.log(JSON.stringify(out, (key, value) => (typeof value === 'number' ? Number(value.toFixed(1)) : value)));
