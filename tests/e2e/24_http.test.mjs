// HTTP around the REST calls: negotiation, conditions, compression, methods, CORS, security fields, static files.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { call, callHttp2, Client, JSON_TYPE } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { eventually } from './kit/wait.mjs';
import { decode, define } from './kit/protobuf.mjs';
import { WebSocketClient } from './kit/websocket.mjs';

define('Prospect', { 1: ['prospectId', 'int'], 2: ['firstName', 'string'] });
define('ProspectPage', { 1: ['items', 'Prospect', true] });

const it = { web: mkdtempSync(path.join(tmpdir(), 'events-web-')) };
const SCRIPT = 'export const answer = 42;\n'.repeat(100);
const PAGE = '<!doctype html><title>Events</title>';
const ALLOWED = 'https://app.example';

function writeClient() {
  mkdirSync(path.join(it.web, 'assets'));
  writeFileSync(path.join(it.web, 'index.html'), PAGE);
  writeFileSync(path.join(it.web, 'favicon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  const script = path.join(it.web, 'assets/app-1a2b3c.js');
  writeFileSync(script, SCRIPT);
  writeFileSync(`${script}.gz`, gzipSync(SCRIPT));
  writeFileSync(`${script}.br`, brotliCompressSync(SCRIPT));
}

before(async () => {
  writeClient();
  it.installation = await Installation.start({ env: { EVENTS_WEB_ROOT: it.web, EVENTS_ALLOWED_ORIGINS: ALLOWED, EVENTS_TRUSTED_PROXIES: '127.0.0.0/8' } });
  it.url = it.installation.plainUrl;
  it.demo = await Client.demo(it.installation);
  it.tls = { ca: readFileSync(path.join(it.installation.home, 'tls.crt')) };
  const notes = 'x'.repeat(200);
  for (let i = 0; i < 12; i++) await it.demo.create({ firstName: 'Ada', lastName: 'Lovelace', email: `http-${i}@example.org`, notes });
});
after(async () => {
  await it.installation?.stop();
  rmSync(it.web, { recursive: true, force: true });
});

const listOf = (field) => (field ?? '').split(',').map((part) => part.trim().toLowerCase()).filter(Boolean);
/** The same call over HTTP/1.1 and HTTP/2, on both ports. */
const everyWay = (at, options) => Promise.all([
  call(it.url + at, options),
  callHttp2(it.url + at, options),
  callHttp2(it.installation.url + at, { ...options, tls: it.tls }),
]);

function assertProblem(reply, status, code, what = '') {
  assert.equal(reply.status, status, `${what}: ${reply.body}`);
  assert.equal(reply.headers['content-type'], 'application/problem+json', what);
  assert.deepEqual([reply.json.status, reply.json.type], [status, `/problems/${code}`], what);
  assert.ok(reply.json.title && reply.json.correlationId, what);
}

test('Accept chooses between JSON and protobuf, and 406 where it is neither', async () => {
  const CASES = [
    [undefined, 'application/json'],
    ['*/*', 'application/json'],
    ['application/x-protobuf', 'application/x-protobuf'],
    ['application/x-protobuf;q=0.3, application/json;q=0.4', 'application/json'],
    ['application/json;q=0, */*;q=0.1', 'application/x-protobuf'],
    ['text/html', null],
    ['application/json;q=0', null],
  ];
  for (const [accept, want] of CASES) {
    const headers = { ...it.demo.authorization, ...(accept && { accept }) };
    for (const reply of await everyWay('/api/prospects?limit=2', { headers })) {
      assert.ok(listOf(reply.headers.vary).includes('accept'), accept);
      if (!want) assertProblem(reply, 406, 'not_acceptable', accept);
      else assert.deepEqual([reply.status, reply.headers['content-type']], [200, want], accept);
      if (want === 'application/x-protobuf') assert.equal(decode('ProspectPage', reply.body).items[0].firstName, 'Ada');
    }
  }
  const two = await rawCall('GET /api/prospects HTTP/1.1', [`Authorization: Bearer ${it.demo.token}`, 'Accept: text/html', 'Accept: application/x-protobuf']);
  assert.match(two, /^HTTP\/1\.1 200 [^]*\r\ncontent-type: application\/x-protobuf\r\n/, 'the lines of a list are one list');
});

test('a command whose answer nobody can read has no effect', async () => {
  const body = JSON.stringify({ firstName: 'Ada', lastName: 'Unread', email: 'unread@example.org' });
  assertProblem(await it.demo.post('/api/prospects', body, { accept: 'text/html' }), 406, 'not_acceptable');
  const { json } = await it.demo.create({ firstName: 'Ada', lastName: 'After', email: 'after@example.org' }).then(() => it.demo.get('/api/prospects?query=unread'));
  assert.deepEqual(json.items, []);
});

test('lists are compressed as the client likes it, HEAD says the same, and small answers are not', async () => {
  const UNPACK = { gzip: gunzipSync, br: brotliDecompressSync, undefined: (bytes) => bytes };
  const plain = (await it.demo.get('/api/prospects?limit=10')).json;
  const CASES = [[undefined, undefined], ['gzip', 'gzip'], ['gzip, deflate, br', 'br'], ['br;q=0.1, gzip;q=0.2', 'gzip'], ['gzip;q=0', undefined], ['zstd', undefined]];
  for (const [accept, want] of CASES) {
    const headers = { ...it.demo.authorization, ...(accept && { 'accept-encoding': accept }) };
    for (const reply of await everyWay('/api/prospects?limit=10', { headers })) {
      assert.equal(reply.status, 200, accept);
      assert.equal(reply.headers['content-encoding'], want, accept);
      assert.ok(listOf(reply.headers.vary).includes('accept-encoding'));
      assert.deepEqual(JSON.parse(UNPACK[want](reply.body)).items, plain.items, accept);
      assert.ok(!want || reply.body.length < JSON.stringify(plain).length / 3, `${reply.body.length} bytes`);
    }
    const [get, head] = await Promise.all(['GET', 'HEAD'].map((method) => call(`${it.url}/api/prospects?limit=10`, { method, headers })));
    assert.equal(head.body.length, 0);
    for (const field of ['content-length', 'content-encoding', 'content-type', 'vary']) assert.equal(head.headers[field], get.headers[field], field);
  }
  assertProblem(await it.demo.get('/api/prospects', { 'accept-encoding': 'identity;q=0' }), 406, 'not_acceptable');
  for (const at of ['/api/prospects?limit=1', '/api/prospects/1']) {
    const reply = await it.demo.get(at, { 'accept-encoding': 'br, gzip' });
    assert.equal(reply.headers['content-encoding'], undefined, at);
  }
  const events = await call(`${it.url}/api/events?after=0`, { headers: { ...it.demo.authorization, 'accept-encoding': 'br' } });
  assert.equal(events.headers['content-encoding'], 'br');
  assert.equal(JSON.parse(brotliDecompressSync(events.body))[0].type, 'ProspectCreated');
});

test('a body in a content coding is 415, with what would be understood', async () => {
  const body = gzipSync(JSON.stringify({ firstName: 'Ada', lastName: 'Lovelace', email: 'packed@example.org' }));
  const packed = await it.demo.post('/api/prospects', body, { 'content-encoding': 'gzip' });
  assertProblem(packed, 415, 'unsupported_media_type');
  assert.equal(packed.headers['accept-encoding'], 'identity');
  const text = await it.demo.post('/api/prospects', '{}', { 'content-type': 'text/plain' });
  assertProblem(text, 415, 'unsupported_media_type');
  assert.equal(text.headers.accept, 'application/json, application/x-protobuf');
});

test('If-None-Match and If-Match on prospects, documents, types and files, each coding with its own tag', async () => {
  for (const at of ['/api/prospects/1', '/openapi.json', '/docs', '/api/event-types', '/assets/app-1a2b3c.js']) {
    const tags = new Map();
    for (const accept of ['identity', 'gzip', 'br']) {
      const coding = { 'accept-encoding': accept };
      const reply = await it.demo.get(at, coding);
      const tag = reply.headers.etag;
      assert.match(tag, /^"[^"]+"$/, at);
      tags.set(reply.headers['content-encoding'], tag);
      const CASES = [
        ['if-none-match', tag, 304], ['if-none-match', `W/${tag}`, 304], ['if-none-match', '*', 304], ['if-none-match', `"x", ${tag}`, 304],
        ['if-none-match', '"x"', 200], ['if-match', tag, 200], ['if-match', '*', 200], ['if-match', '"x"', 412], ['if-match', `W/${tag}`, 412],
      ];
      for (const method of ['GET', 'HEAD'])
        for (const [name, value, status] of CASES) {
          const got = await call(it.url + at, { method, headers: { ...it.demo.authorization, ...coding, [name]: value } });
          assert.equal(got.status, status, `${method} ${at} ${name}: ${value}`);
          assert.equal(got.headers.etag, tag, at);
          if (status === 304) assert.equal(got.body.length, 0);
          if (status === 412 && method === 'GET') assertProblem(got, 412, 'precondition_failed', at);
        }
    }
    assert.equal(new Set(tags.values()).size, tags.size, `${at}: a tag for each coding`);
    assert.equal(tags.size, at.startsWith('/api/prospects') ? 1 : 3, at);
  }
});

test('a method that a path does not have is 405 with Allow, everywhere; OPTIONS says the same', async () => {
  const CASES = {
    '/api/prospects': ['GET', 'HEAD', 'OPTIONS', 'POST'],
    '/api/prospects/1': ['GET', 'HEAD', 'OPTIONS', 'PUT'],
    '/api/commands/CreateProspect': ['GET', 'HEAD', 'OPTIONS', 'POST'],
    '/api/auth/login': ['OPTIONS', 'POST'],
    '/api/events/webhook': ['OPTIONS', 'POST'],
    '/ws/events': ['GET', 'OPTIONS'],
    '/health/live': ['GET', 'HEAD', 'OPTIONS'],
    '/openapi.json': ['GET', 'HEAD', 'OPTIONS'],
    '/': ['GET', 'HEAD', 'OPTIONS'],
    '/favicon.svg': ['GET', 'HEAD', 'OPTIONS'],
  };
  for (const [at, allow] of Object.entries(CASES)) {
    for (const method of ['DELETE', 'PATCH', 'TRACE', 'BREW', ...['PUT', 'POST', 'GET'].filter((m) => !allow.includes(m))]) {
      const reply = await call(it.url + at, { method });
      assertProblem(reply, 405, 'method_not_allowed', `${method} ${at}`);
      assert.deepEqual(reply.headers.allow.split(', ').sort(), allow, `${method} ${at}`);
    }
    if (at.endsWith('webhook')) continue; // Event Grid's handshake
    const options = await call(it.url + at, { method: 'OPTIONS' });
    assert.equal(options.status, 204, at);
    assert.deepEqual(options.headers.allow.split(', ').sort(), allow, at);
  }
  for (const method of ['GET', 'POST', 'OPTIONS']) assertProblem(await call(`${it.url}/assets/gone.js`, { method }), 404, 'not_found', method);
  assert.match(await rawCall('OPTIONS * HTTP/1.1'), /^HTTP\/1\.1 204 /);
});

test('HEAD answers as GET does, without a body', async () => {
  for (const at of ['/api/prospects/1', '/api/prospects/1/history', '/api/events', '/api/event-types', '/.well-known/jwks.json', '/health/ready',
    '/openapi.json', '/schemas/ProspectCreated.json', '/docs', '/', '/api/prospects/999999', '/nothing.png'])
    for (const send of [call, callHttp2]) {
      const [get, head] = await Promise.all(['GET', 'HEAD'].map((method) => send(it.url + at, { method, headers: it.demo.authorization })));
      assert.equal(head.body.length, 0);
      const own = ['date', 'x-correlation-id', 'connection', 'keep-alive'];
      const fields = (reply) => Object.entries(reply.headers).filter(([name]) => !own.includes(name)).sort();
      assert.deepEqual([head.status, fields(head)], [get.status, fields(get)], at);
    }
});

/** Bytes on a connection of their own, all that comes back. */
function rawCall(line, fields = []) {
  const { hostname, port } = new URL(it.url);
  return new Promise((done, fail) => {
    const socket = net.connect(Number(port), hostname, () => socket.write([line, 'Host: x', 'Connection: close', ...fields, '', ''].join('\r\n')));
    const chunks = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', fail);
    socket.on('close', () => done(Buffer.concat(chunks).toString('latin1')));
  });
}

test('what the server itself refuses is a problem, too', async () => {
  const CASES = [
    [`GET /${'x'.repeat(9000)} HTTP/1.1`, [], 414, 'uri_too_long'],
    ['GET / HTTP/1.1', [`X-Long: ${'x'.repeat(20000)}`], 431, 'headers_too_large'],
    ['POST /api/prospects HTTP/1.1', ['Content-Length: 5000000'], 413, 'too_large'],
    ['POST /api/prospects HTTP/1.1', ['Transfer-Encoding: gzip, chunked'], [400, 501]],
    ['GET / HTTP/3.0', [], [400, 505]],
    ['GET  / HTTP/1.1', [], 400, 'invalid'],
  ];
  for (const [line, fields, status, code] of CASES) {
    const [head, body] = (await rawCall(line, fields)).split('\r\n\r\n');
    const what = line.slice(0, 40);
    assert.ok([status].flat().includes(Number(head.split(' ')[1])), `${what}: ${head}`);
    assert.match(head, /\r\ncontent-type: application\/problem\+json/, what);
    const problem = JSON.parse(body);
    if (code) assert.equal(problem.type, `/problems/${code}`, what);
    for (const field of [`x-correlation-id: ${problem.correlationId}`, 'cache-control: no-store', 'x-content-type-options: nosniff', 'connection: close'])
      assert.ok(head.includes(`\r\n${field}\r\n`) || head.endsWith(`\r\n${field}`), `${what}: ${field} in ${head}`);
  }
  const asked = { origin: ALLOWED, 'x-correlation-id': 'asked-for' };
  const refused = await Promise.all([
    call(`${it.url}/api/prospects`, { method: 'POST', headers: { ...JSON_TYPE, ...asked }, body: Buffer.alloc(300 << 10) }),
    callHttp2(`${it.url}/api/prospects`, { method: 'POST', headers: { ...JSON_TYPE, ...asked }, body: Buffer.alloc(300 << 10) }),
    callHttp2(`${it.url}/`, { headers: { ...asked, 'x-long': 'x'.repeat(20000) } }),
    call(`${it.url}/ws/events`, { headers: asked }),
  ]);
  for (const { status, headers, json } of refused) {
    assert.equal(json.correlationId, 'asked-for');
    assert.deepEqual([headers['x-correlation-id'], headers['access-control-allow-origin'], headers['cache-control']], ['asked-for', ALLOWED, 'no-store'], `${status}`);
  }
  assert.deepEqual(refused.map(({ status }) => status), [413, 413, 431, 400]);
  assertProblem(await callHttp2(`${it.url}/api/prospects`, { method: 'POST', headers: JSON_TYPE, body: Buffer.alloc(3 << 20) }), 413, 'too_large');
  assertProblem(await callHttp2(`${it.url}/`, { headers: { 'x-long': 'x'.repeat(20000) } }), 431, 'headers_too_large');
});

test('pages of an allowed origin may call, others may not; Vary says that it depends', async () => {
  const TAKEN = ['authorization', 'content-type', 'accept', 'if-match', 'if-none-match', 'idempotency-key', 'traceparent', 'x-correlation-id', 'x-events-min-position', 'last-event-id'];
  const ask = (origin, at = '/api/prospects/1') => call(it.url + at, { method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'PUT', 'access-control-request-headers': TAKEN.join() } });
  const allowed = await ask(ALLOWED);
  assert.equal(allowed.status, 204);
  assert.equal(allowed.headers['access-control-allow-origin'], ALLOWED);
  assert.ok(listOf(allowed.headers['access-control-allow-methods']).includes('put'));
  const headers = listOf(allowed.headers['access-control-allow-headers']);
  for (const name of TAKEN) assert.ok(headers.includes(name), name);
  assert.match(allowed.headers['access-control-max-age'], /^\d+$/);
  for (const origin of ['https://evil.example', `${ALLOWED}.evil.example`, 'null', '']) {
    for (const reply of [await ask(origin), await it.demo.get('/api/prospects', { origin }), await it.demo.get('/api/none', { origin })]) {
      assert.equal(Object.keys(reply.headers).find((name) => name.startsWith('access-control')), undefined, origin);
      assert.ok(listOf(reply.headers.vary).includes('origin'), origin);
    }
  }
  for (const reply of [await it.demo.get('/api/prospects', { origin: ALLOWED }), await it.demo.get('/api/none', { origin: ALLOWED }), await call(`${it.url}/api/prospects`, { headers: { origin: ALLOWED } })]) {
    assert.equal(reply.headers['access-control-allow-origin'], ALLOWED);
    const exposed = listOf(reply.headers['access-control-expose-headers']);
    for (const name of ['etag', 'location', 'retry-after', 'x-correlation-id', 'x-events-position', 'x-events-epoch']) assert.ok(exposed.includes(name), name);
  }
});

test('security fields stand on every answer, HSTS on TLS alone; answers of the API are not stored', async () => {
  for (const [at, want] of [['/', 200], ['/docs', 200], ['/api/prospects', 200], ['/api/none', 404], ['/health/live', 200], ['/assets/gone.js', 404]]) {
    const [plain, , tls] = await everyWay(at, { headers: it.demo.authorization });
    for (const { status, headers } of [plain, tls]) {
      assert.equal(status, want, at);
      assert.equal(headers['x-content-type-options'], 'nosniff', at);
      assert.equal(headers['referrer-policy'], 'no-referrer', at);
      assert.match(headers['content-security-policy'], /default-src '(self|none)'.*frame-ancestors 'none'/, at);
      assert.doesNotMatch(headers['content-security-policy'], /unsafe|\*/, at);
      if (at.startsWith('/api')) assert.equal(headers['cache-control'], 'no-store', at);
    }
    assert.equal(plain.headers['strict-transport-security'], undefined, at);
    assert.match(tls.headers['strict-transport-security'], /^max-age=\d{7,}/, at);
  }
});

test('the web client: codings, caching, types, no ranges; the page for navigations alone', async () => {
  const at = '/assets/app-1a2b3c.js';
  const script = await call(it.url + at, { headers: { 'accept-encoding': 'gzip, br', range: 'bytes=0-9' } });
  assert.equal(script.status, 200);
  assert.deepEqual([script.headers['content-encoding'], script.headers['accept-ranges']], ['br', 'none']);
  assert.equal(brotliDecompressSync(script.body).toString(), SCRIPT);
  assert.equal(script.headers['content-type'], 'text/javascript; charset=utf-8');
  assert.match(script.headers['cache-control'], /max-age=31536000.*immutable/);
  assert.match(script.headers['content-security-policy'], /^default-src 'none'; connect-src 'self' ws:\/\/127\.0\.0\.1:\d+;/, 'of a worker, to connect');
  assert.ok(listOf(script.headers.vary).includes('accept-encoding'));
  for (const where of ['/', '/index.html', '/prospects/12']) {
    const page = await call(it.url + where, { headers: { accept: 'text/html,*/*;q=0.8', 'sec-fetch-mode': 'navigate' } });
    assert.match(page.headers['content-security-policy'], /^default-src 'self'/);
    const again = await call(it.url + where, { headers: { accept: 'text/html,*/*;q=0.8', 'sec-fetch-mode': 'navigate', 'if-none-match': page.headers.etag } });
    assert.deepEqual([again.status, again.headers['content-security-policy']], [304, undefined], 'the stored policy holds');
    assert.equal(page.body.toString(), PAGE, where);
    assert.deepEqual([page.headers['content-type'], page.headers['cache-control']], ['text/html; charset=utf-8', 'no-cache'], where);
  }
  const MISSING = [['/assets/gone', {}], ['/gone.png', {}], ['/prospects/12', { accept: 'application/json' }], ['/prospects/12', { 'sec-fetch-mode': 'cors' }],
    ['/assets/../index.html', {}], ['/%2e%2e/index.html', {}], [`${at}.gz`, {}]];
  for (const [where, headers] of MISSING) assert.match(await rawCall(`GET ${where} HTTP/1.1`, Object.entries(headers).map((f) => f.join(': '))), /^HTTP\/1\.1 404 /, where);
  assert.equal((await call(`${it.url}/favicon.svg`)).headers['content-type'], 'image/svg+xml');
});

test('correlation and trace: what is good is taken over, what is not is replaced', async () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  for (const [sent, kept] of [['ab~1', true], ['x'.repeat(128), true], ['x'.repeat(129), false], ['a b', false], ['', false]]) {
    const { headers } = await it.demo.get('/api/event-types', { 'x-correlation-id': sent });
    assert.equal(headers['x-correlation-id'] === sent, kept, sent);
    assert.match(headers['x-correlation-id'], /^[!-~]{1,128}$/);
  }
  for (const [sent, kept] of [[`00-${traceId}-b7ad6b7169203331-01`, true], [`cc-${traceId}-b7ad6b7169203331-01-what-comes`, true], [`ff-${traceId}-b7ad6b7169203331-01`, false], ['00-x', false]]) {
    const email = `trace-${sent.slice(0, 4)}@example.org`;
    const { json } = await it.demo.post('/api/prospects', { firstName: 'Ada', lastName: 'Trace', email }, { traceparent: sent });
    const { eventId } = await it.demo.outcome(json.commandId);
    const event = (await it.demo.get('/api/events?limit=1000')).json.find((e) => e.id === eventId);
    assert.match(event.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/);
    assert.equal(event.traceparent.includes(traceId), kept, sent);
  }
});

test('behind a trusted proxy: its word for the client, the scheme and the host', async () => {
  const forwarded = { 'x-forwarded-for': '198.51.100.1, 192.0.2.7', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'events.example' };
  const page = await call(`${it.url}/`, { headers: forwarded });
  assert.match(page.headers['strict-transport-security'], /^max-age/);
  assert.match(page.headers['content-security-policy'], / wss:\/\/events\.example;/);
  const open = (headers) => WebSocketClient.open(`${it.url}/ws/events`, { headers: { ...it.demo.authorization, ...headers } });
  (await open({ ...forwarded, origin: 'https://events.example' })).close();
  await assert.rejects(open({ ...forwarded, origin: 'http://events.example' }), { status: 403 });
  await assert.rejects(open({ origin: 'https://events.example' }), { status: 403 });
  const login = (client) => call(`${it.url}/api/auth/login`, { method: 'POST', headers: { ...JSON_TYPE, 'x-forwarded-for': client },
    body: JSON.stringify({ username: 'proxied', password: 'wrong' }) });
  let refused = 0;
  for (let i = 0; i < 30 && !refused; i++) refused = (await login(`198.51.100.${i}, 192.0.2.7`)).status === 429;
  assert.ok(refused, 'what the client writes before its own address gives it no further attempts');
  assert.equal((await login('192.0.2.8')).status, 401, 'another client has attempts of its own');
});

test('status and metrics are for who has the scope operator, and tell what there is', async () => {
  const added = await it.installation.ctlWith({ input: 'reader-password\n' }, 'user', 'add', 'nosy', '--tenant', 'demo', '--scopes', 'prospects:read', '--password-stdin');
  assert.equal(added.code, 0, added.stderr);
  const nosy = await new Client(it.url, { username: 'nosy', password: 'reader-password' }).login();
  for (const at of ['/api/status', '/metrics']) {
    assertProblem(await call(it.url + at), 401, 'unauthenticated', at);
    assertProblem(await nosy.get(at), 403, 'forbidden', at);
  }
  const socket = await WebSocketClient.open(`${it.url}/ws/events`, { headers: it.demo.authorization });
  const { status, headers, json } = await it.demo.get('/api/status');
  assert.deepEqual([status, headers['cache-control']], [200, 'no-store']);
  const [gateway, ...others] = json.programs;
  assert.deepEqual(others.map(({ name, answers, ready }) => [name, answers, ready]),
    ['prospects', 'relay', 'grid', 'projection'].map((name) => [`events-${name}`, true, true]));
  assert.ok(others[0].metrics.events_prospects_commands_total >= 12, JSON.stringify(others[0]));
  assert.ok(others[2].metrics['events_grid_delivered_total{subscription="gateway"}'] >= 12, JSON.stringify(others[2]));
  const idle = await eventually('nothing waits', async () => {
    const { summary } = (await it.demo.get('/api/status')).json;
    return summary.queueDepth === 0 && summary.outboxLag === 0 && summary.deliveryLag === 0 && summary;
  });
  assert.deepEqual(idle, { queueDepth: 0, queueAgeUs: 0, queueDeadLetters: 0, outboxLag: 0, deliveryLag: 0, deliveryDeadLetters: 0 });
  assert.deepEqual([gateway.name, gateway.ready, gateway.streams], ['events-gateway', true, 1]);
  assert.ok(gateway.connections.plain >= 2 && gateway.connections.tls >= 0, JSON.stringify(gateway.connections));
  assert.ok(gateway.answers['2xx'] > 10 && gateway.answers['4xx'] > 10);
  const { calls, p50, p90, p99 } = gateway.latencyUs;
  assert.ok(calls > 20 && p50 <= p90 && p90 <= p99 && p99 > 0, JSON.stringify(gateway.latencyUs));
  const list = await it.demo.get('/api/prospects?limit=1');
  assert.deepEqual([gateway.stream.held, gateway.stream.epoch], [list.headers['x-events-position'], list.headers['x-events-epoch']]);
  const metrics = await it.demo.get('/metrics');
  assert.match(metrics.headers['content-type'], /^text\/plain; version=0\.0\.4/);
  assert.match(String(metrics.body), /^events_gateway_answers_total\{loop="0",class="2xx"\} \d+$/m);
  assert.match(String(metrics.body), /^events_gateway_connections\{loop="\d+",port="plain"\} [1-9]/m);
  socket.close();
});

test('status says of a program that it does not answer, while it hangs and when it is gone', async () => {
  const relay = it.installation.children.get('relay');
  const shown = async () => (await it.demo.get('/api/status')).json;
  relay.kill('SIGSTOP');
  try {
    const { summary, programs } = await eventually('the relay is missed', async () => {
      const found = await shown();
      return !found.programs.find(({ name }) => name === 'events-relay').answers && found;
    });
    assert.equal(summary.outboxLag, null);
    assert.deepEqual(programs.filter(({ answers }) => answers === false).map(({ name }) => name), ['events-relay']);
  } finally {
    relay.kill('SIGCONT');
  }
  await it.installation.kill('relay');
  await eventually('the relay is missed again', async () => (await shown()).summary.outboxLag === null);
  await it.installation.run('relay');
  await eventually('the relay answers', async () => (await shown()).summary.outboxLag === 0);
  for (const program of ['gateway', 'prospects', 'relay', 'projection', 'grid'])
    for (const at of ['/openapi.json', '/asyncapi.json']) {
      const own = await call(`http://${it.installation.admin[program]}${at}`);
      assert.deepEqual([own.status, own.json], [200, (await it.demo.get(at)).json], `${program} ${at}`);
    }
});
