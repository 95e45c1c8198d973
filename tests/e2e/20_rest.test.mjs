// The REST calls: commands in, outcomes and rows out, and every way to do it wrong.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { call, callHttp2, Client, JSON_TYPE } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import * as token from './kit/token.mjs';
import { eventually } from './kit/wait.mjs';

const it = {};
let n = 0;
const prospect = (more = {}) => ({ firstName: 'Ada', lastName: 'Lovelace', email: `rest-${++n}@example.org`, ...more });

before(async () => {
  it.installation = await Installation.start();
  it.url = it.installation.plainUrl;
  it.demo = await Client.demo(it.installation);
});
after(() => it.installation?.stop());

function assertProblem(reply, status, code, what = '') {
  assert.equal(reply.status, status, `${what} ${reply.body}`);
  assert.match(reply.headers['content-type'], /^application\/problem\+json/, what);
  assert.equal(reply.json.status, status, what);
  if (code) assert.equal(reply.json.type, `/problems/${code}`, what);
  assert.ok(reply.json.title && reply.json.correlationId, what);
}

test('login gives tokens; refresh rotates them; a reused refresh token ends the family', async () => {
  const { tokens } = await new Client(it.url, it.demo).login();
  assert.equal(tokens.tokenType, 'Bearer');
  assert.equal(tokens.expiresIn, 900);
  const { header, claims } = token.parse(tokens.accessToken);
  assert.equal(header.alg, 'ES256');
  assert.equal(claims.tid, 'demo');
  for (const claim of ['iss', 'aud', 'sub', 'scope', 'exp', 'nbf', 'iat', 'jti']) assert.ok(claim in claims, claim);
  const refresh = (refreshToken) => call(`${it.url}/api/auth/refresh`, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ refreshToken }) });
  const second = await refresh(tokens.refreshToken);
  assert.equal(second.status, 200);
  assert.notEqual(second.json.refreshToken, tokens.refreshToken);
  assert.equal((await refresh(tokens.refreshToken)).status, 401);
  assert.equal((await refresh(second.json.refreshToken)).status, 401, 'the family has ended');
});

test('wrong credentials are 401, whether or not there is such a user', async () => {
  for (const body of [{ username: 'demo', password: 'wrong' }, { username: 'nobody', password: 'wrong' }]) {
    const reply = await call(`${it.url}/api/auth/login`, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(body) });
    assertProblem(reply, 401);
  }
});

test('the public keys are the ones that sign', async () => {
  const { status, json } = await call(`${it.url}/.well-known/jwks.json`);
  assert.equal(status, 200);
  const key = json.keys.find((k) => k.kid === token.signingKey(it.installation).kid);
  assert.deepEqual([key.kty, key.crv, key.alg], ['EC', 'P-256', 'ES256']);
  assert.ok(!('d' in key));
});

const TRANSPORTS = [
  ['HTTP/1.1', call, () => it.url, {}],
  ['HTTP/2 with prior knowledge', callHttp2, () => it.url, {}],
  ['HTTP/2 over TLS', callHttp2, () => it.installation.url, 'ca'],
];
for (const [name, send, base, tls] of TRANSPORTS) {
  test(`over ${name}: 202, the outcome, the row`, async () => {
    const options = { headers: { ...it.demo.authorization, ...JSON_TYPE, 'x-correlation-id': `test-${n}` },
      ...(tls === 'ca' ? { tls: { ca: readFileSync(path.join(it.installation.home, 'tls.crt')) } } : {}) };
    const sent = prospect({ phone: '+44 20 7946 0958', notes: 'line one\nline two' });
    const reply = await send(`${base()}/api/prospects`, { ...options, method: 'POST', body: JSON.stringify(sent) });
    assert.equal(reply.status, 202, String(reply.body));
    assert.equal(reply.json.correlationId, options.headers['x-correlation-id']);
    assert.equal(reply.headers['x-correlation-id'], options.headers['x-correlation-id']);
    assert.equal(reply.headers.location, `/api/commands/${reply.json.commandId}`);
    const outcome = await it.demo.outcome(reply.json.commandId);
    assert.equal(outcome.status, 'succeeded');
    assert.match(outcome.subject, /^prospect\/\d+$/);
    assert.ok(outcome.eventId);
    const id = Number(outcome.subject.split('/')[1]);
    const one = await send(`${base()}/api/prospects/${id}`, options);
    assert.equal(one.status, 200);
    assert.equal(one.headers.etag, '"1"');
    const { createdAt, updatedAt, ...row } = one.json;
    assert.deepEqual(row, { prospectId: id, ...sent, version: 1 });
    assert.equal(createdAt, updatedAt);
    assert.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 120000, createdAt);
    const list = await send(`${base()}/api/prospects?sort=-createdAt&limit=1`, options);
    assert.deepEqual(list.json.items, [one.json]);
    assert.match(list.headers['x-events-position'], /^\d+$/);
    assert.ok(list.headers['x-events-epoch']);
  });
}

test('a command is found by GET from the moment of its 202', async () => {
  for (let i = 0; i < 20; i++) {
    const { json } = await it.demo.post('/api/prospects', prospect());
    const asked = await it.demo.get(`/api/commands/${json.commandId}`);
    assert.equal(asked.status, 200);
    assert.match(asked.json.status, /^(pending|succeeded)$/);
  }
});

test('PUT: 428 without If-Match, the new state with it, version_conflict with a stale one', async () => {
  const { subject } = await it.demo.create(prospect());
  const at = `/api/prospects/${subject.split('/')[1]}`;
  const change = prospect({ lastName: 'Byron' });
  assertProblem(await it.demo.send('PUT', at, change), 428, 'precondition_required');
  const put = async (ifMatch, body) => {
    const reply = await it.demo.send('PUT', at, body, { 'if-match': ifMatch });
    assert.equal(reply.status, 202, String(reply.body));
    return it.demo.outcome(reply.json.commandId);
  };
  assert.equal((await put('"1"', change)).status, 'succeeded');
  const row = await it.demo.get(at);
  assert.equal(row.headers.etag, '"2"');
  assert.equal(row.json.lastName, 'Byron');
  assert.equal((await it.demo.get(at, { 'if-none-match': '"2"' })).status, 304);
  const stale = await put('"1"', prospect());
  assert.deepEqual([stale.status, stale.code], ['rejected', 'version_conflict']);
  assert.equal((await put('*', prospect())).status, 'succeeded');
  assert.equal((await it.demo.get(at)).headers.etag, '"3"');
  assertProblem(await it.demo.send('PUT', at, { firstName: '' }, { 'if-match': '"3"' }), 400);
});

test('PUT of what is not there is rejected: not_found', async () => {
  const reply = await it.demo.send('PUT', '/api/prospects/9007199254740991', prospect(), { 'if-match': '*' });
  const outcome = await it.demo.outcome(reply.json.commandId);
  assert.deepEqual([outcome.status, outcome.code], ['rejected', 'not_found']);
});

test('the same e-mail in other letters is rejected: duplicate_email', async () => {
  const first = prospect({ email: 'Straße.Ünal@Example.org' });
  assert.equal((await it.demo.create(first)).status, 'succeeded');
  const second = await it.demo.create(prospect({ email: ' STRASSE.ünal@EXAMPLE.ORG ' }));
  assert.deepEqual([second.status, second.code], ['rejected', 'duplicate_email']);
  assert.equal(second.errors?.[0]?.field, 'email');
});

test('POST /api/commands/CreateProspect is the same command', async () => {
  const reply = await it.demo.post('/api/commands/CreateProspect', prospect());
  assert.equal(reply.status, 202, String(reply.body));
  assert.equal((await it.demo.outcome(reply.json.commandId)).status, 'succeeded');
  assertProblem(await it.demo.post('/api/commands/NoSuchCommand', {}), 404);
});

test('the same command id again: the same answer, one effect; another body: 422', async () => {
  const body = { ...prospect(), commandId: randomUUID() };
  const first = await it.demo.post('/api/prospects', body);
  const outcome = await it.demo.outcome(body.commandId);
  const again = await it.demo.post('/api/prospects', body);
  assert.deepEqual([again.status, again.json.commandId], [202, first.json.commandId]);
  assert.deepEqual(await it.demo.outcome(body.commandId), outcome);
  assertProblem(await it.demo.post('/api/prospects', { ...body, lastName: 'Other' }), 422, 'idempotency_conflict');
  const key = { 'idempotency-key': `key-${randomUUID()}` };
  const keyed = prospect();
  const one = await it.demo.post('/api/prospects', keyed, key);
  const two = await it.demo.post('/api/prospects', keyed, key);
  assert.equal(one.json.commandId, two.json.commandId);
  assertProblem(await it.demo.post('/api/prospects', prospect(), key), 422, 'idempotency_conflict');
});

test('wrong tokens are 401', async () => {
  const { header, claims } = token.parse(it.demo.token);
  const { key } = token.signingKey(it.installation);
  const now = Math.floor(Date.now() / 1000);
  const [head, body, signature] = it.demo.token.split('.');
  const raised = Buffer.from(JSON.stringify({ ...claims, tid: 'other' })).toString('base64url');
  const CASES = {
    none: undefined,
    'not a token': 'abc',
    'two parts': `${head}.${body}`,
    expired: token.mint(header, { ...claims, exp: now - 120, nbf: now - 1000, iat: now - 1000 }, key),
    'not yet valid': token.mint(header, { ...claims, nbf: now + 600 }, key),
    'no end': token.mint(header, { ...claims, exp: undefined }, key),
    'claims changed': `${head}.${raised}.${signature}`,
    'signature changed': `${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
    'signature cut': `${head}.${body}.${signature.slice(0, 40)}`,
    'alg none': token.unsigned({ ...header, alg: 'none' }, claims),
    'another key': token.mint(header, claims, token.otherKey()),
    'unknown kid': token.mint({ ...header, kid: 'nobody' }, claims, key),
    'kid as a path': token.mint({ ...header, kid: '../tls' }, claims, key),
    'alg HS256': token.mint({ ...header, alg: 'HS256' }, claims, key),
    'another issuer': token.mint(header, { ...claims, iss: 'elsewhere' }, key),
    'another audience': token.mint(header, { ...claims, aud: 'elsewhere' }, key),
  };
  assert.equal((await call(`${it.url}/api/prospects`, { headers: { authorization: `Bearer ${token.mint(header, claims, key)}` } })).status, 200,
    'the test mints tokens that would be good');
  for (const [name, text] of Object.entries(CASES)) {
    const headers = text === undefined ? {} : { authorization: `Bearer ${text}` };
    for (const [method, at] of [['GET', '/api/prospects'], ['POST', '/api/prospects'], ['GET', `/api/commands/${randomUUID()}`]])
      assertProblem(await call(it.url + at, { method, headers: { ...headers, ...JSON_TYPE }, body: method === 'POST' ? JSON.stringify(prospect()) : undefined }),
        401, undefined, name);
  }
});

test('a user without the scope gets 403, without pii empty fields', async () => {
  const add = (name, scopes) => it.installation.ctlWith({ input: 'reader-password\n' }, 'user', 'add', name, '--tenant', 'demo', '--scopes', scopes, '--password-stdin');
  assert.equal((await add('reader', 'prospects:read')).code, 0);
  const reader = await new Client(it.url, { username: 'reader', password: 'reader-password' }).login();
  await it.demo.create(prospect());
  assertProblem(await reader.post('/api/prospects', prospect()), 403);
  const { status, json } = await reader.get('/api/prospects?limit=1');
  assert.equal(status, 200);
  assert.ok(json.items[0].prospectId);
  for (const field of ['firstName', 'lastName', 'email', 'phone', 'notes']) assert.ok(!json.items[0][field], field);
  assertProblem(await reader.get('/api/prospects?query=ada'), 403);
  assertProblem(await reader.get('/api/prospects?sort=lastName'), 403);
});

test('another user does not find the command', async () => {
  const add = await it.installation.ctlWith({ input: 'second-password\n' }, 'user', 'add', 'second', '--tenant', 'demo', '--scopes', 'prospects:read prospects:write', '--password-stdin');
  assert.equal(add.code, 0, add.stderr);
  const second = await new Client(it.url, { username: 'second', password: 'second-password' }).login();
  const { json } = await it.demo.post('/api/prospects', prospect());
  assertProblem(await second.get(`/api/commands/${json.commandId}`), 404);
  assertProblem(await it.demo.get(`/api/commands/${randomUUID()}`), 404);
});

test('sizes, types, methods and paths that are wrong', async () => {
  const big = JSON.stringify(prospect({ notes: 'x'.repeat(2 << 20) }));
  const CASES = [
    ['oversized', () => it.demo.post('/api/prospects', big), 413],
    ['no media type', () => it.demo.send('POST', '/api/prospects', '{}', { 'content-type': 'text/plain' }), 415],
    ['no such path', () => it.demo.get('/api/no-such-thing'), 404],
    ['no such prospect', () => it.demo.get('/api/prospects/9007199254740991'), 404],
    ['no id', () => it.demo.get('/api/prospects/abc'), [400, 404]],
    ['wrong method', () => it.demo.send('DELETE', '/api/prospects', ''), 405],
    ['limit', () => it.demo.get('/api/prospects?limit=201'), 400],
    ['limit 0', () => it.demo.get('/api/prospects?limit=0'), 400],
    ['sort', () => it.demo.get('/api/prospects?sort=nothing'), 400],
    ['cursor', () => it.demo.get('/api/prospects?cursor=abc'), 400],
    ['cut JSON', () => it.demo.post('/api/prospects', '{"firstName":"Ada"'), 400],
    ['empty body', () => it.demo.post('/api/prospects', ''), 400],
    ['empty correlation id', () => it.demo.get('/api/prospects', { 'x-correlation-id': 'x'.repeat(129) }), [200, 400]],
  ];
  for (const [name, send, want] of CASES) {
    const reply = await send();
    assert.ok([want].flat().includes(reply.status), `${name}: ${reply.status} ${reply.body}`);
    if (reply.status >= 400) assertProblem(reply, reply.status, undefined, name);
  }
  assert.equal((await it.demo.get('/api/prospects?limit=201')).json.type, '/problems/out_of_range');
  assert.equal((await it.demo.get('/api/prospects?cursor=abc')).json.type, '/problems/invalid_cursor');
  assert.equal((await it.demo.send('DELETE', '/api/prospects', '')).headers.allow?.includes('POST'), true);
});

/** Writes raw bytes and gives all that comes back until the end of the connection. */
function raw(bytes, { end = false } = {}) {
  const { hostname, port } = new URL(it.url);
  return new Promise((done, fail) => {
    const socket = net.connect(Number(port), hostname, () => (end ? socket.end(bytes) : socket.write(bytes)));
    const chunks = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', fail);
    socket.on('close', () => done(Buffer.concat(chunks).toString('latin1')));
    socket.setTimeout(15000, () => socket.destroy());
  });
}

test('a body that is announced but never comes has no effect, and the gateway stays well', async () => {
  const body = JSON.stringify(prospect({ email: 'truncated@example.org' }));
  const head = `POST /api/prospects HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer ${it.demo.token}\r\n`;
  const CASES = [
    `${head}Content-Length: ${body.length}\r\n\r\n${body.slice(0, -10)}`,
    `${head}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n`,
    `${head}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body.slice(0, -10)}`,
    `${head}Content-Length: 10`,
  ];
  for (const bytes of CASES) {
    const answer = await raw(bytes, { end: true });
    assert.doesNotMatch(answer, /^HTTP\/1\.1 202/, bytes.slice(-60));
  }
  const { items } = (await it.demo.get('/api/prospects?query=truncated')).json;
  assert.equal(items.length, 0);
});

test('requests that smuggle are refused', async () => {
  const body = JSON.stringify(prospect());
  const head = `POST /api/prospects HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer ${it.demo.token}\r\nConnection: close\r\n`;
  const CASES = {
    'two lengths': `Content-Length: ${body.length}\r\nContent-Length: 5\r\n\r\n${body}`,
    'length and chunked': `Content-Length: ${body.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'negative length': `Content-Length: -1\r\n\r\n${body}`,
    'length with a sign': `Content-Length: +${body.length}\r\n\r\n${body}`,
    'odd coding': `Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    'space before the colon': `Content-Length : ${body.length}\r\n\r\n${body}`,
  };
  for (const [name, rest] of Object.entries(CASES)) {
    const answer = await raw(head + rest);
    assert.match(answer, /^HTTP\/1\.1 (400|411|501) /, `${name}: ${answer.slice(0, 80)}`);
  }
});

test('lists page through everything once, sorted, and search by the start of words', async () => {
  for (const lastName of ['Éclair', 'eclipse', 'Ecru']) await it.demo.create(prospect({ firstName: 'Zoé', lastName }));
  const all = await it.demo.list();
  assert.equal(new Set(all.map((row) => row.prospectId)).size, all.length);
  for (let i = 1; i < all.length; i++) assert.ok(all[i - 1].createdAt <= all[i].createdAt);
  const seen = [];
  for (let cursor = ''; ;) {
    const { json } = await it.demo.get(`/api/prospects?limit=2&sort=lastName&query=${encodeURIComponent('ÉC')}${cursor}`);
    seen.push(...json.items.map((row) => row.lastName));
    assert.ok(json.items.length <= 2);
    if (!json.nextCursor) break;
    cursor = `&cursor=${encodeURIComponent(json.nextCursor)}`;
  }
  assert.deepEqual(seen, ['Éclair', 'eclipse', 'Ecru']);
  assert.equal((await it.demo.get('/api/prospects?query=clair')).json.items.length, 0, 'not in the middle of a word');
  assert.equal((await it.demo.get('/api/prospects?query=%25')).json.items.length, 0, 'a percent sign is no wildcard');
});

test('a read that waits for a position sees the change', async () => {
  const { headers } = await it.demo.get('/api/prospects?limit=1');
  const { json } = await it.demo.post('/api/prospects', prospect());
  const next = Number(headers['x-events-position']) + 1;
  const reply = await it.demo.get('/api/prospects?limit=1&sort=-createdAt', { 'x-events-min-position': String(next) });
  assert.ok(Number(reply.headers['x-events-position']) >= next);
  assert.equal((await it.demo.get(`/api/commands/${json.commandId}`)).json.status, 'succeeded');
});

test('the web client comes from the root, and paths do not climb out of it', async () => {
  const page = await call(`${it.url}/`);
  if (page.status === 200) assert.match(page.headers['content-type'], /^text\/html/);
  for (const at of ['/../../etc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '/assets/..%2f..%2f..%2fetc/passwd', '/..%5c..%5cetc/passwd', '/%00']) {
    const answer = await raw(`GET ${at} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    assert.doesNotMatch(answer, /root:/, at);
    assert.match(answer, /^HTTP\/1\.1 (200|400|404) /, at);
  }
});

test('health stands on the main port', async () => {
  await eventually('ready', async () => (await call(`${it.url}/health/ready`)).status === 200);
});
