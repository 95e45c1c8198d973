// ./dev bench http: what a request costs us, beside what it costs others, both in one run.
//
// The server has processor 0 (one event loop, one thread), the load program processor 1. What counts is the server's
// own processor time for each request: it says what a machine can carry, whoever of the two is the bottleneck. Rounds
// are interleaved, so that a busy moment of the machine does not fall on one side alone; medians and spread are shown.
// All sides of a row get the very same request, the token included.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { call, callHttp2, Client } from '../tests/e2e/kit/client.mjs';
import { BUILD, Installation } from '../tests/e2e/kit/installation.mjs';
import { installed, startPeers } from './http_peers.mjs';
import { CLIENT_CORE, measure, pin, SERVER_CORE } from './http_load.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false }, // fewer rounds, shorter: for a look, not for a claim
    rounds: { type: 'string' },
    requests: { type: 'string' },
    rows: { type: 'string', default: '' }, // names that begin with one of these
  },
});
const ROUNDS = Number(options.rounds ?? (options.quick ? 2 : 5));
const REQUESTS = Number(options.requests ?? (options.quick ? 30000 : 100000));

const ALLOCATION_REQUESTS = 20000;

const GRPC_CHECK = '/grpc.health.v1.Health/Check';
const GRPC_HEADERS = { 'content-type': 'application/grpc', te: 'trailers' };
const GRPC_REQUEST = Buffer.from([0, 0, 0, 0, 0]), GRPC_ANSWER = Buffer.from([0, 0, 0, 0, 2, 8, 1]);

// bar, goal: times as many requests per processor second as the peer named
const ROWS = [
  { name: 'get', title: 'HTTP/2 GET 200 B, authorised', token: true, against: ['nghttpd', 'h2o', 'nginx'], bar: ['nghttpd', 1], goal: ['h2o', 1] },
  { name: 'get_tls', title: 'the same over TLS 1.3', token: true, tls: true, against: ['nghttpd', 'h2o', 'nginx'], bar: ['nghttpd', 1], goal: ['h2o', 1] },
  { name: 'bare', title: 'HTTP/2 GET 200 B, no token', against: ['nghttpd', 'h2o', 'nginx'], bar: ['nghttpd', 1], goal: ['h2o', 1] },
  { name: 'bare_tls', title: 'the same over TLS 1.3', tls: true, against: ['nghttpd', 'h2o', 'nginx'], bar: ['nghttpd', 1], goal: ['h2o', 1] },
  { name: 'post', title: 'HTTP/2 POST 300 B, authorised', token: true, post: true, against: ['nghttpd', 'nginx'], bar: ['nghttpd', 0.8], goal: ['nghttpd', 1.2] },
  { name: 'post_tls', title: 'the same over TLS 1.3', token: true, post: true, tls: true, against: ['nghttpd', 'nginx'], bar: ['nghttpd', 0.8], goal: ['nghttpd', 1.2] },
  { name: 'grpc', title: 'gRPC unary, health check', grpc: true, against: ['grpc-c++'], bar: ['grpc-c++', 2], goal: ['grpc-c++', 4] },
  { name: 'grpc_shallow', title: 'the same, one at a time', grpc: true, shallow: true, against: ['grpc-c++'] },
  { name: 'shallow', title: 'HTTP/2 GET, one at a time', token: true, shallow: true, against: ['nghttpd', 'h2o', 'nginx'] },
  { name: 'h1', title: 'HTTP/1.1 GET, keep-alive', token: true, h1: true, against: ['nginx', 'h2o'] },
];

function loadOf(row, { url, file }, setup) {
  const load = { url: row.grpc ? url + GRPC_CHECK : url + file, requests: REQUESTS, clients: 16, streams: 32, answer: 200 };
  if (row.shallow) Object.assign(load, { clients: 64, streams: 1, requests: REQUESTS / 2 });
  if (row.h1) Object.assign(load, { h1: true, clients: 64, seconds: options.quick ? 1 : 2, answer: undefined });
  if (row.token) load.headers = { authorization: `Bearer ${setup.token}` };
  if (row.post) load.body = setup.postFile;
  if (row.grpc) Object.assign(load, { headers: GRPC_HEADERS, body: setup.grpcFile, answer: GRPC_ANSWER.length });
  return load;
}

function sidesOf(row, setup) {
  const ours = { name: 'events', pid: setup.pid, url: row.tls ? setup.url : setup.plainUrl, file: '/test/bytes?n=200' };
  const others = row.against.map((name) => {
    const at = setup.peers[name]?.[row.tls ? 'tls' : row.h1 ? 'h1' : 'plain'];
    return at && { name, pid: at.peer.pid, url: `${row.tls ? 'https' : 'http'}://127.0.0.1:${at.port}`, file: '/bytes' };
  });
  return [ours, ...others.filter(Boolean)];
}

/* --- before: does everybody answer as the row says? --- */

function grpcCall(origin) {
  const session = http2.connect(origin);
  return new Promise((done, fail) => {
    session.on('error', fail);
    const stream = session.request({ ':method': 'POST', ':path': GRPC_CHECK, ...GRPC_HEADERS });
    const chunks = [], reply = {};
    stream.on('response', (head) => (reply.head = head));
    stream.on('trailers', (trailers) => (reply.trailers = trailers));
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('end', () => done({ ...reply, body: Buffer.concat(chunks) }));
    stream.on('error', fail);
    stream.end(GRPC_REQUEST);
  }).finally(() => session.close());
}

async function verify(row, side, setup) {
  if (row.grpc) {
    const reply = await grpcCall(side.url);
    assert.equal((reply.trailers ?? reply.head)['grpc-status'], '0', `grpc-status of ${side.name}`);
    assert.deepEqual(reply.body, GRPC_ANSWER, side.name);
    return;
  }
  const { headers, body } = loadOf(row, side, setup);
  const request = { method: body ? 'POST' : 'GET', headers, body: body && setup.post, tls: { rejectUnauthorized: false } };
  const ask = row.h1 ? call : callHttp2, reply = await ask(side.url + side.file, request);
  assert.equal(reply.status, 200, `${row.name} of ${side.name}`);
  assert.equal(reply.body.length, 200, `${row.name} of ${side.name}`);
  if (side.name !== 'events' || !row.token) return;
  assert.ok(reply.headers['x-correlation-id'] && reply.headers['content-security-policy'], 'the whole path of a request');
  const forged = await ask(side.url + side.file, { ...request, headers: { authorization: `${headers.authorization.slice(0, -4)}AAAA` } });
  assert.equal(forged.status, 401, 'a forged token');
}

/* --- figures --- */

const sorted = (list) => [...list].sort((a, b) => a - b);
const median = (list) => sorted(list)[Math.floor((list.length - 1) / 2)];
const perSecond = (us) => 1e6 / us;
const thousands = (value) => `${(value / 1000).toFixed(1)} k`;

function figure(samples) {
  const us = samples.map((s) => s.us), all = sorted(us);
  return { us: median(us), least: all[0], most: all.at(-1), perCpuSecond: perSecond(median(us)), rate: median(samples.map((s) => s.rate)) };
}

function verdict(row, figures, [peer, times] = []) {
  const other = figures[peer];
  if (!other || !figures.events) return undefined;
  const ratio = other.us / figures.events.us;
  return { ratio, reached: ratio >= times, text: `${ratio.toFixed(2)} x ${peer} (${times} x)` };
}

function printRow(row, figures) {
  console.log(row.title);
  for (const [name, f] of Object.entries(figures))
    console.log(`  ${name.padEnd(12)} ${f.us.toFixed(2).padStart(7)} us [${f.least.toFixed(2)} - ${f.most.toFixed(2)}]`.padEnd(45) +
      `${thousands(f.perCpuSecond).padStart(9)} per CPU-s  ${thousands(f.rate).padStart(9)} per s`);
  for (const kind of ['bar', 'goal']) {
    const v = verdict(row, figures, row[kind]);
    if (v) console.log(`  ${kind.padEnd(5)} ${v.reached ? 'reached' : 'MISSED '} ${v.text}`);
  }
}

/* --- the run --- */

async function install(threads) {
  const installation = await Installation.start({
    env: { EVENTS_TEST_ENDPOINTS: 'on', EVENTS_THREADS: String(threads), EVENTS_ACCESS_TOKEN_SECONDS: '86400' },
  });
  const client = await Client.demo(installation);
  return { installation, token: client.token, url: installation.url.replace('localhost', '127.0.0.1'), plainUrl: installation.plainUrl,
    pid: installation.children.get('gateway').pid };
}

/* Rows of which one side fails are left out, with the reason: the gRPC peer may be missing, or a service of ours. */
async function usable(rows, setup, notes) {
  const good = [];
  for (const row of rows) {
    const sides = sidesOf(row, setup), works = [];
    for (const side of sides) {
      try {
        await verify(row, side, setup);
        works.push(side);
      } catch (error) {
        notes.push(`${row.name}: ${side.name} is left out: ${error.message.split('\n')[0]}`);
      }
    }
    if (works.length) good.push({ row, sides: works });
  }
  return good;
}

async function rounds(tasks, setup) {
  const samples = new Map();
  for (let round = 0; round < ROUNDS; round++) {
    for (const { row, sides } of tasks) {
      for (const side of round % 2 ? [...sides].reverse() : sides) {
        const key = `${row.name} ${side.name}`;
        if (!samples.has(key)) samples.set(key, []);
        samples.get(key).push(await measure(side.pid, loadOf(row, side, setup)));
      }
    }
  }
  return samples;
}

/** One loop and two, each free to run on both processors: what sharing costs. */
async function loops(one, two, setup) {
  const cores = `${SERVER_CORE},${CLIENT_CORE}`, samples = [[], []];
  await Promise.all([pin(one.pid, cores), pin(two.pid, cores)]);
  for (let round = 0; round < ROUNDS + 1; round++) {
    for (const [i, side] of [one, two].entries()) {
      const load = loadOf({ token: true }, { url: side.plainUrl, file: '/test/bytes?n=200' }, { ...setup, token: side.token });
      samples[i].push(await measure(side.pid, load));
    }
  }
  return { events: figure(samples[1].slice(1)), 'one loop': figure(samples[0].slice(1)) };
}

/** The calls of malloc and its kin for one request, by the same gateway started once more with a library that counts. */
async function allocations(one, setup, tasks) {
  const { installation } = one, file = path.join(setup.folder, 'heap'), counts = {};
  await installation.kill('gateway');
  Object.assign(installation.env, { LD_PRELOAD: path.join(BUILD, 'bench/libheap-count.so'), EVENTS_HEAP_COUNT: file });
  await installation.run('gateway');
  const pid = installation.children.get('gateway').pid, count = () => Number(readFileSync(`${file}.${pid}`).readBigUInt64LE());
  for (const { row, sides } of tasks) {
    const side = sides.find((each) => each.name === 'events');
    if (!side || row.h1 || row.shallow || row.tls) continue;
    const load = { ...loadOf(row, side, setup), requests: ALLOCATION_REQUESTS };
    await measure(pid, load); // what is made once
    const before = count();
    await measure(pid, load);
    counts[row.name] = (count() - before) / load.requests;
  }
  return counts;
}

function printAllocations(counts) {
  console.log('heap allocations of the gateway for one request');
  for (const [name, count] of Object.entries(counts)) console.log(`  ${name.padEnd(12)} ${count.toFixed(2).padStart(7)}`);
}

async function main() {
  if (!installed('h2load')) throw new Error('h2load is not installed (nghttp2-client)');
  const folder = mkdtempSync(path.join(tmpdir(), 'events-bench-')), started = [];
  let peers = { peers: {}, notes: [], stop() {} };
  const out = { bench: 'http', rounds: ROUNDS, requests: REQUESTS, rows: {} };
  try {
    const one = await install(1);
    started.push(one.installation);
    peers = await startPeers(folder, path.join(one.installation.home, 'tls.crt'), path.join(one.installation.home, 'tls.key'));
    const setup = { ...one, folder, peers: peers.peers, post: 'y'.repeat(300), postFile: path.join(folder, 'post'), grpcFile: path.join(folder, 'grpc') };
    writeFileSync(setup.postFile, setup.post);
    writeFileSync(setup.grpcFile, GRPC_REQUEST);
    const wanted = (name) => !options.rows || options.rows.split(',').some((begin) => name.startsWith(begin));
    const rows = ROWS.filter((row) => wanted(row.name) && (!row.h1 || installed('wrk')));
    const tasks = await usable(rows, setup, peers.notes);
    for (const pid of new Set(tasks.flatMap((task) => task.sides.map((side) => side.pid)))) await pin(pid, String(SERVER_CORE));
    const samples = await rounds(tasks, setup);
    console.log('processor time of the server for one request: median [least - most]\n');
    for (const { row, sides } of tasks) {
      const figures = Object.fromEntries(sides.map((side) => [side.name, figure(samples.get(`${row.name} ${side.name}`))]));
      printRow(row, figures);
      out.rows[row.name] = figures;
    }
    if (wanted('loops')) {
      const two = await install(2);
      started.push(two.installation);
      const row = { name: 'loops', title: 'HTTP/2 GET 200 B with two event loops', bar: ['one loop', 0.91] };
      out.rows.loops = await loops(one, two, setup);
      printRow(row, out.rows.loops);
    }
    if (wanted('heap')) {
      const heap = options.rows ? await usable(ROWS.filter((row) => !row.h1), setup, []) : tasks;
      printAllocations((out.allocations = await allocations(one, setup, heap)));
    }
    for (const note of peers.notes) console.log(`note: ${note}`);
    out.notes = peers.notes;
    console.log(JSON.stringify(out, (key, value) => (typeof value === 'number' ? Number(value.toFixed(3)) : value)));
  } finally {
    peers.stop();
    for (const installation of started) await installation.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
