// Bodies of any size, in pieces, over every way to the gateway: nothing is held that nobody takes.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { call, callHttp2, Client } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { eventually, SLOW } from './kit/wait.mjs';
import { EventSocket, PROTOCOL, WebSocketClient } from './kit/websocket.mjs';

const MIB = 2 ** 20;
const it = {};
before(async () => {
  it.installation = await Installation.start({ env: { EVENTS_TEST_ENDPOINTS: 'on', EVENTS_WS_DEFLATE: 'on', EVENTS_ALLOWED_ORIGINS: 'https://app.example' } });
  it.demo = await Client.demo(it.installation);
  it.plain = it.installation.plainUrl;
  it.tls = { ca: readFileSync(path.join(it.installation.home, 'tls.crt')) };
});
after(() => it.installation?.stop());

const residentBytes = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${it.installation.children.get('gateway').pid}/status`, 'utf8'))[1]) * 1024;

/** Not under a sanitizer, which keeps what is freed in quarantine. */
function grewLessThan(mebibytes, before) {
  const grown = (residentBytes() - before) / MIB;
  assert.ok(SLOW > 1 || grown < mebibytes, `${grown.toFixed()} MiB more`);
}

/** A request whose body is written by hand: { stream, head: promise of [status, headers] }. */
function openHttp1(url, { method, headers }) {
  const request = (url.startsWith('https') ? https : http).request(url, { method, headers, agent: false, ...it.tls });
  const head = once(request, 'response').then(([reply]) => Object.assign(reply, { code: reply.statusCode }));
  return { request, head, end: () => request.destroy() };
}

function openHttp2(url, { method, headers }) {
  const { origin, pathname, search } = new URL(url);
  const session = http2.connect(origin, it.tls);
  const request = session.request({ ':method': method, ':path': pathname + search, ...headers }, { endStream: method === 'GET' });
  const head = once(request, 'response').then(([fields]) => Object.assign(request, { code: fields[':status'] }));
  return { request, head, end: () => session.destroy() };
}

const WAYS = [
  ['HTTP/1.1', openHttp1, () => it.plain],
  ['HTTP/1.1 over TLS', openHttp1, () => it.installation.url],
  ['HTTP/2', openHttp2, () => it.plain],
  ['HTTP/2 over TLS', openHttp2, () => it.installation.url],
];

/** Writes `count` times 64 KiB and waits where the other side wants it. */
async function writeAll(request, count, hash) {
  const part = Buffer.alloc(64 << 10);
  for (let i = 0; i < count; i++) {
    part.writeUInt32LE(i, 0);
    hash.update(part);
    if (!request.write(Buffer.from(part))) await once(request, 'drain');
  }
  request.end();
}

test('an echo of 16 MiB comes back whole, in little memory', async () => {
  const before = residentBytes();
  for (const [name, open, base] of WAYS) {
    const [sent, got] = [createHash('sha1'), createHash('sha1')];
    const { request, head, end } = open(`${base()}/test/echo`, { method: 'REPORT', headers: {} });
    const writing = writeAll(request, 256, sent);
    const reply = await head;
    assert.equal(reply.code, 200, name);
    for await (const part of reply) got.update(part);
    await writing;
    assert.equal(got.digest('hex'), sent.digest('hex'), name);
    end();
  }
  grewLessThan(24, before);
});

test('who does not read what comes back is not read from either', async () => {
  const before = residentBytes();
  for (const [name, open, base] of WAYS) {
    const { request, head, end } = open(`${base()}/test/echo`, { method: 'POST', headers: {} });
    const reply = await Promise.race([head, (request.write(Buffer.alloc(10)), head)]);
    reply.pause();
    let written = 0;
    while (written < 512 * MIB && (await Promise.race([new Promise((done) => request.write(Buffer.alloc(256 << 10), () => done(true))), new Promise((done) => setTimeout(done, 400, false))])))
      written += 256 << 10;
    assert.ok(written < 64 * MIB, `${name}: ${written / MIB} MiB were taken`);
    end();
  }
  grewLessThan(24, before);
});

test('a terabyte of bytes takes no memory, and goes on only while somebody reads', async () => {
  const before = residentBytes();
  for (const [name, open, base] of WAYS) {
    const { request, head, end } = open(`${base()}/test/bytes?n=1099511627776`, { method: 'GET', headers: {} });
    request.end();
    const reply = await head;
    let got = 0;
    for await (const part of reply) if ((got += part.length) > 20 * MIB) break;
    assert.ok(got > 20 * MIB, name);
    end();
  }
  grewLessThan(24, before);
  await eventually('the gateway is at rest', async () => (await call(`${it.plain}/health/ready`)).status === 200);
});

test('exact lengths, HEAD, and what is out of range', async () => {
  const CASES = [
    ['GET', '/test/bytes?n=0', 200, 0, '0'],
    ['GET', '/test/bytes?n=65536', 200, 65536, '65536'],
    ['GET', '/test/bytes?n=65537', 200, 65537, '65537'],
    ['GET', '/test/bytes?n=3000001', 200, 3000001, '3000001'],
    ['HEAD', '/test/bytes?n=3000001', 200, 0, '3000001'],
    ['HEAD', '/test/echo', 200, 0, undefined],
    ['DELETE', '/test/echo', 200, 0, undefined],
    ['GET', '/test/bytes?n=1099511627777', 400],
    ['GET', '/test/bytes?n=-1', 400],
  ];
  for (const [method, at, status, length, told] of CASES) {
    const replies = await Promise.all([call(it.plain + at, { method }), callHttp2(it.plain + at, { method }), callHttp2(it.installation.url + at, { method, tls: it.tls })]);
    for (const reply of replies) {
      assert.equal(reply.status, status, `${method} ${at}`);
      if (status === 200) assert.deepEqual([reply.body.length, reply.headers['content-length']], [length, told], `${method} ${at}`);
    }
  }
});

// --- WebSockets over either protocol

const SOCKETS = [
  ['HTTP/1.1', () => [it.plain, {}]],
  ['HTTP/1.1 over TLS', () => [it.installation.url, { tls: it.tls }]],
  ['HTTP/2', () => [it.plain, { overHttp2: true }]],
  ['HTTP/2 over TLS', () => [it.installation.url, { overHttp2: true, tls: it.tls }]],
];

test('/ws/echo: messages of any length, compressed where both sides want it', async () => {
  for (const [name, way] of SOCKETS) {
    const [base, options] = way();
    for (const deflate of [false, true]) {
      const ws = await WebSocketClient.open(`${base}/ws/echo`, { ...options, deflate, protocols: [] });
      for (const length of [0, 1, 125, 126, 65535, 65536, 3 * MIB]) {
        const sent = Buffer.alloc(length, 'ein Text, der sich wiederholt; ');
        const came = once(ws, 'message');
        ws.send(sent, true);
        const [got, isText] = await came;
        assert.ok(isText && got.equals(sent), `${name}: ${length} bytes`);
      }
      assert.equal(ws.compressed, deflate ? 5 : 0, name);
      const closed = once(ws, 'close');
      ws.close(4000);
      assert.equal((await closed)[0], 4000, name);
    }
  }
});

test('/ws/echo: who does not read is not read from', async () => {
  const before = residentBytes();
  for (const [name, way] of SOCKETS) {
    const [base, options] = way();
    const ws = await WebSocketClient.open(`${base}/ws/echo`, { ...options, protocols: [] });
    ws.socket.pause();
    const message = Buffer.alloc(100_000);
    const settles = () => new Promise((done) => setTimeout(done, 300, false));
    let sent = 0;
    while (sent < 5000 && (await Promise.race([new Promise((done) => { ws.send(message); ws.socket.write('', () => done(true)); }), settles()]))) sent++;
    assert.ok(sent < 1000, `${name}: ${sent} messages were taken`);
    let came = 0;
    ws.on('message', () => came++);
    ws.socket.resume();
    await eventually(`${name}: the rest of the echo`, () => came > sent, 20000, 20);
    ws.close();
  }
  grewLessThan(32, before);
});

test('/ws/events over HTTP/2 has the rules of HTTP/1.1: token, ticket, origin, subprotocol', async () => {
  const bearer = { authorization: `Bearer ${it.demo.token}` };
  const ticket = async () => (await it.demo.send('POST', '/api/auth/ticket', '')).json.ticket;
  const CASES = [
    ['a token in the header', { headers: bearer }, 0],
    ['a token as a subprotocol', { protocols: [PROTOCOL, `bearer.${it.demo.token}`] }, 0],
    ['a ticket', { query: `?ticket=${await ticket()}` }, 0],
    ['an allowed origin', { headers: { ...bearer, origin: 'https://app.example' } }, 0],
    ['no token', {}, 401],
    ['a bad token', { headers: { authorization: 'Bearer x.y.z' } }, 401],
    ['a bad ticket', { query: '?ticket=nonsense' }, 401],
    ['another origin', { headers: { ...bearer, origin: 'https://evil.example' } }, 403],
    ['another subprotocol', { headers: bearer, protocols: ['chat'] }, 400],
    ['another version', { headers: { ...bearer, 'sec-websocket-version': '8' } }, 426],
    ['another path', { headers: bearer, path: '/api/prospects' }, 405],
    ['another protocol', { headers: { ...bearer, ':protocol': 'connect-udp' } }, 501],
  ];
  for (const [name, { query = '', path: at = '/ws/events', ...options }, status] of CASES) {
    const opening = WebSocketClient.open(it.installation.url + at + query, { ...options, overHttp2: true, tls: it.tls });
    if (status) await assert.rejects(opening, { status }, name);
    else (await opening).close();
  }
});

test('events come over HTTP/2 and compressed as they come over HTTP/1.1', async () => {
  const sockets = [];
  for (const [, way] of SOCKETS) {
    const [url, options] = way();
    for (const deflate of [false, true]) {
      const socket = await EventSocket.open(Object.assign(Object.create(it.demo), { url }), { ...options, deflate });
      socket.send({ subscribe: { id: 1 } });
      await socket.frame('subscribed', (s) => s.caughtUp);
      sockets.push(socket);
    }
  }
  const notes = 'was sich wiederholt, wird kürzer; '.repeat(20);
  const outcome = await it.demo.create({ firstName: 'Ada', lastName: 'Lovelace', email: 'h2@example.org', notes });
  assert.equal(outcome.status, 'succeeded');
  const seen = await Promise.all(sockets.map((socket) => socket.event((e) => e.type === 'ProspectRegistered' || e.subject?.startsWith('prospect/'))));
  assert.equal(new Set(seen.map((e) => JSON.stringify(e, (k, v) => (typeof v === 'bigint' ? `${v}` : v)))).size, 1, 'all got the same event');
  sockets.forEach((socket, i) => assert.equal(socket.ws.compressed > 0, i % 2 === 1, `socket ${i}`));
  sockets.forEach((socket) => socket.close());
});
