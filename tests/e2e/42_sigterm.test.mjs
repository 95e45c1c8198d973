// SIGTERM while requests keep coming, whether or not answers do: over HTTP/1.1, HTTP/2 and a WebSocket. What got the
// head of an answer gets all of it, and each command that was accepted is in the queue.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import { after, before, test } from 'node:test';
import { Client } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { sleep } from './kit/wait.mjs';
import { EventSocket } from './kit/websocket.mjs';

const it = {};
before(async () => {
  it.installation = await Installation.start({ env: { EVENTS_TEST_ENDPOINTS: 'on' } });
  it.demo = await Client.demo(it.installation);
});
after(() => it.installation?.stop());

let posted = 0;
const command = () => JSON.stringify({ firstName: 'Ada', lastName: 'Lovelace', email: `ada-${posted++}@example.org` });
const FIELDS = () => ({ ...it.demo.authorization, 'content-type': 'application/json' });
const result = () => ({ headed: 0, accepted: [], cut: [], refused: 0 });

function whole(got, status, chunks) {
  if (status === 202) got.accepted.push(JSON.parse(Buffer.concat(chunks)).commandId);
}

function postHttp1(agent, got) {
  return new Promise((done) => {
    let headed = false;
    const request = http.request(`${it.installation.plainUrl}/api/prospects`, { method: 'POST', agent, headers: FIELDS() });
    request.on('error', () => (headed || got.refused++, done()));
    request.on('response', (answer) => {
      const chunks = [];
      headed = true;
      got.headed++;
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('error', (error) => (got.cut.push(error.code), done()));
      answer.on('end', () => (whole(got, answer.statusCode, chunks), done()));
    });
    request.end(command());
  });
}

function postHttp2(session, got) {
  return new Promise((done) => {
    if (session.closed || session.destroyed) {
      got.refused++;
      done();
      return;
    }
    let status;
    const chunks = [];
    const stream = session.request({ ':method': 'POST', ':path': '/api/prospects', ...FIELDS() });
    stream.on('response', (fields) => ((status = fields[':status']), got.headed++));
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('error', () => {});
    stream.on('close', () => {
      if (!status) got.refused++;
      else if (stream.rstCode || !stream.readableEnded) got.cut.push(`RST_STREAM ${stream.rstCode}`);
      else whole(got, status, chunks);
      done();
    });
    stream.end(command());
  });
}

/** A long answer, read slowly from before the signal until after it. */
function slowDownload(bytes) {
  return new Promise((done, fail) => {
    http.get(`${it.installation.plainUrl}/test/bytes?n=${bytes}`, { agent: false }, async (answer) => {
      let sum = 0;
      try {
        for await (const chunk of answer) {
          sum += chunk.length;
          if (sum < bytes / 2) await sleep(5);
        }
        done(sum);
      } catch (error) {
        fail(error);
      }
    }).on('error', fail);
  });
}

/** post() every few milliseconds, without waiting, until `over()`. */
async function openLoop(post, over) {
  const calls = [];
  while (!over()) {
    calls.push(post());
    await sleep(4);
  }
  await Promise.all(calls);
}

test('nothing that has begun to be answered is cut, and what was accepted is done', async (t) => {
  const child = it.installation.children.get('gateway');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  const session = http2.connect(it.installation.plainUrl);
  const goaways = [];
  session.on('goaway', (code) => goaways.push(code));
  session.on('error', () => {});
  const socket = await EventSocket.open(it.demo);
  const one = result(), two = result();
  const bytes = 30_000_000, download = slowDownload(bytes);
  let over = false;
  const load = Promise.all([openLoop(() => postHttp1(agent, one), () => over), openLoop(() => postHttp2(session, two), () => over)]);
  await sleep(700);
  const before = { one: one.headed, two: two.headed };
  const from = performance.now();
  child.kill('SIGTERM');
  await sleep(800);
  over = true;
  await load;
  assert.equal(await download, bytes, 'the long answer is whole');
  const { code } = await child.exited;
  t.diagnostic(`HTTP/1.1: ${one.headed} answers, ${one.refused} refused; HTTP/2: ${two.headed}, ${two.refused}; ` +
    `ended after ${Math.round(performance.now() - from)} ms`);
  agent.destroy();

  assert.equal(code, 0);
  assert.ok(before.one > 20 && before.two > 20, 'there was load');
  assert.ok(one.refused + two.refused > 0, 'it went on after the end');
  assert.deepEqual([...one.cut, ...two.cut], []);
  assert.equal(goaways[0], 0); // Node's client closes at the notice; both steps: tests/unit/net/test_h2.c
  if (!socket.ws.closed) await once(socket.ws, 'close');
  assert.equal(socket.ws.closed.code, 1001);

  await it.installation.run('gateway');
  const accepted = [...one.accepted, ...two.accepted];
  const outcomes = await Promise.all(accepted.map((id) => it.demo.outcome(id)));
  assert.ok(outcomes.length > 40);
  assert.deepEqual(outcomes.filter((o) => o.status !== 'succeeded'), []);
});
