// More requests than can be served: what can be answered is, the rest is told so soon, and nothing of it lasts. None
// of the requests waits for the answer to another.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { SLOW } from './kit/wait.mjs';

const READ = '/api/prospects?limit=200';
const SESSIONS = 25, STREAMS = 100; // what the gateway allows on a connection
const it = { sessions: [] };

before(async () => {
  it.installation = await Installation.start();
  it.demo = await Client.demo(it.installation);
  const notes = 'x'.repeat(400);
  const posts = await Promise.all(Array.from({ length: 200 }, (_, i) => it.demo.post('/api/prospects', { firstName: 'Ada', lastName: 'Lovelace', email: `load-${i}@example.org`, notes })));
  await Promise.all(posts.map(({ json }) => it.demo.outcome(json.commandId)));
  for (let i = 0; i < SESSIONS; i++) it.sessions.push(http2.connect(it.installation.plainUrl));
});
after(() => {
  for (const session of it.sessions) session.destroy();
  return it.installation?.stop();
});

/** One read: { status, headers, ms } or { error }. HEAD: all of the gateway's work, and little of the load's own. */
function read(session) {
  const from = performance.now();
  return new Promise((done) => {
    const stream = session.request({ ':method': 'HEAD', ':path': READ, ...it.demo.authorization });
    let head;
    stream.on('response', (fields) => (head = fields));
    stream.on('end', () => done({ status: head?.[':status'], headers: head, ms: performance.now() - from }));
    stream.on('error', (error) => done({ error }));
    stream.resume();
  });
}

const gatewayLog = () => readFileSync(path.join(it.installation.home, 'logs/gateway.log'), 'utf8').split('\n').length;
const count = (replies, status) => replies.filter((reply) => reply.status === status).length;

test('2500 reads at once: 200 or 503 with Retry-After, in time; commands go on; the log stays short', async (t) => {
  const lines = gatewayLog(), from = performance.now();
  const reads = it.sessions.flatMap((session) => Array.from({ length: STREAMS }, () => read(session)));
  const posts = await Promise.all(Array.from({ length: 20 }, (_, i) => it.demo.post('/api/prospects', { firstName: 'Ada', lastName: 'Meanwhile', email: `meanwhile-${i}@example.org` })));
  assert.deepEqual([...new Set(posts.map(({ status }) => status))], [202]);
  const replies = await Promise.all(reads);
  const seconds = (performance.now() - from) / 1000;
  const [served, shed] = [count(replies, 200), count(replies, 503)];
  assert.equal(served + shed, replies.length, JSON.stringify(replies.find(({ status }) => status !== 200 && status !== 503)));
  assert.ok(served > 0 && shed > 0, `${served} served, ${shed} shed`);
  for (const { headers } of replies.filter(({ status }) => status === 503))
    assert.deepEqual([headers['retry-after'], headers['content-type']], ['1', 'application/problem+json']);
  assert.ok(Math.max(...replies.map(({ ms }) => ms)) < 20000 * SLOW, 'nobody waits for long');
  const said = gatewayLog() - lines;
  assert.ok(said < 100 + 60 * seconds, `${said} lines of log for ${shed} refusals in ${seconds} s`);
  assert.equal((await read(it.sessions[0])).status, 200, 'and when it is over, all is well');
  t.diagnostic(`${served} served, ${shed} shed in ${seconds.toFixed(1)} s, ${said} lines of log`);
});
