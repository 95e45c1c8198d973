// Clients that mean harm, or do it: what they may cost the others.
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { call, Client, JSON_TYPE } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { eventually } from './kit/wait.mjs';
import { EventSocket } from './kit/websocket.mjs';

const it = {};
before(async () => {
  it.installation = await Installation.start();
  it.url = it.installation.plainUrl;
  it.demo = await Client.demo(it.installation);
});
after(() => it.installation?.stop());

const log = (program) => readFileSync(path.join(it.installation.home, 'logs', `${program}.log`), 'utf8').trim().split('\n');
const login = (username) => call(`${it.url}/api/auth/login`, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ username, password: 'wrong' }) });

test('who tries passwords of many names from one place is slowed down, and nobody else', async () => {
  const lines = log('gateway').length;
  const flood = Array.from({ length: 300 }, (_, i) => login(`nobody-${i}`));
  await Promise.race(flood);
  for (let i = 0; i < 5; i++) assert.equal((await it.demo.send('POST', '/api/auth/ticket', '')).status, 200, 'a ticket meanwhile');
  const replies = await Promise.all(flood);
  const count = (status) => replies.filter((r) => r.status === status).length;
  assert.equal(count(401) + count(429), 300, 'one address does not fill the queue of logins');
  assert.ok(count(429) >= 150, `${count(429)} were refused`);
  assert.match(replies.find((r) => r.status === 429).headers['retry-after'], /^[1-9]\d*$/);
  assert.ok(log('gateway').length - lines < 10, 'and the log stays short');
});

test('a client that floods its stream with messages is closed with 1008, the sooner the more they cost', async () => {
  const names = (name, many) => Array.from({ length: many }, (_, i) => `${name}${i}`);
  for (const [frames, count] of [
    [(id) => [{ unsubscribe: { id } }], 2000],
    [() => [{ refreshToken: { token: `${it.demo.token}x` } }], 20],
    [(id) => [{ subscribe: { id, subjects: names('prospect/', 256) } }, { unsubscribe: { id } }], 100],
    [(id) => [{ subscribe: { id, eventTypes: names('Type', 256) } }, { unsubscribe: { id } }], 100],
  ]) {
    const socket = await EventSocket.open(it.demo);
    for (let id = 1; id <= count; id++) frames(id).forEach((frame) => socket.send(frame));
    const closed = await eventually('the end', () => socket.ws.closed);
    assert.equal(closed.code, 1008);
  }
});

test('as many and as large subscriptions as there may be can be made at once', async () => {
  const socket = await EventSocket.open(it.demo);
  const subjects = Array.from({ length: 256 }, (_, i) => `prospect/${i}`);
  for (let id = 1; id <= 32; id++) socket.send({ subscribe: { id, subjects } });
  await socket.frame('subscribed', (s) => s.id === 32);
  socket.close();
});

test('a page of the log has a bound in bytes, and pages follow one another without a gap', async () => {
  const notes = '一'.repeat(4000); // 12 kB
  const posts = await Promise.all(Array.from({ length: 150 }, (_, i) =>
    it.demo.post('/api/prospects', { firstName: 'Ada', lastName: 'Lovelace', email: `page-${i}@example.org`, notes })));
  await Promise.all(posts.map(({ json }) => it.demo.outcome(json.commandId)));
  const numbers = [];
  for (let position = 0, pages = 0; ; pages++) {
    const reply = await it.demo.get(`/api/events?limit=1000&after=${position}`);
    assert.equal(reply.status, 200);
    assert.ok(reply.body.length < 1.1 * 2 ** 20, `${reply.body.length} bytes`);
    if (!reply.json.length) {
      assert.ok(pages > 1);
      break;
    }
    numbers.push(...reply.json.map((event) => Number(event.sequence)));
    position = Number(reply.headers['x-events-position']);
  }
  assert.equal(numbers.length, 150);
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
});

test('a delivery full of bad events costs the projection what the delivery weighs', async () => {
  const secret = readFileSync(path.join(it.installation.home, 'secrets/webhook'), 'utf8').trim();
  const lines = log('projection').length;
  const reply = await call(`${it.installation.projectionUrl}/api/events/webhook`, {
    method: 'POST', body: `[${Array(5000).fill(`"${'x'.repeat(100)}"`).join()}]`,
    headers: { 'content-type': 'application/cloudevents-batch+json', 'x-events-webhook-secret': secret },
  });
  assert.equal(reply.status, 200);
  const { size } = statSync(path.join(it.installation.home, 'db/read.db-wal'));
  assert.ok(size < 64 << 20, `read.db-wal has ${size} bytes`);
  assert.ok(log('projection').length - lines < 10, 'two lines tell of all of them');
});
