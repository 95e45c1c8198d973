// The gateway's memory has a limit: above it requests are shed, each protocol in its own words, and below it all is well.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { call, callHttp2, Client } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { eventually, SLOW } from './kit/wait.mjs';
import { EventSocket } from './kit/websocket.mjs';

const it = {};
before(async () => {
  it.installation = await Installation.start();
  it.url = it.installation.plainUrl;
  it.demo = await Client.demo(it.installation); // its token outlives the gateway
});
after(() => it.installation?.stop());

async function restartWith(mebibytes) {
  it.installation.env.EVENTS_MEMORY_LIMIT = mebibytes;
  await it.installation.kill('gateway');
  await it.installation.run('gateway');
}

function grpc(method) {
  const headers = { ...it.demo.authorization, 'content-type': 'application/grpc', te: 'trailers' };
  return callHttp2(`${it.url}/${method}`, { method: 'POST', headers, body: Buffer.alloc(5) });
}

test('short of memory: 503 with Retry-After, RESOURCE_EXHAUSTED, and still the word that it lives', async () => {
  await restartWith('1');
  for (const one of [call, callHttp2]) {
    const reply = await one(`${it.url}/api/prospects`);
    assert.equal(reply.status, 503);
    assert.equal(reply.json.type, '/problems/unavailable');
    assert.equal(reply.headers['retry-after'], '1');
  }
  assert.equal((await grpc('events.v1.ProspectQueries/GetProspect')).headers['grpc-status'], '8');
  assert.equal((await grpc('grpc.health.v1.Health/Check')).status, 200);
  assert.equal((await call(`${it.url}/health/live`)).status, 200);
  const { body } = await call(`http://${it.installation.admin.gateway}/metrics`);
  assert.match(body.toString(), /^events_gateway_shed_total\{cause="memory"\} 3$/m);
});

/** A connection that has sent all but the last byte of a command. */
async function halfUpload() {
  const { hostname, port } = new URL(it.url);
  const socket = net.connect(Number(port), hostname).on('error', () => {});
  await once(socket, 'connect');
  socket.write('POST /api/prospects HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 262144\r\n\r\n');
  socket.write(Buffer.alloc(262143, 'x'));
  return socket;
}

test('what fills the memory is met by 503, and when it has gone the gateway serves again', { skip: SLOW > 1 && 'a sanitizer holds more than that by itself' }, async (t) => {
  await restartWith('48');
  const status = async () => (await call(`${it.url}/docs.css`)).status;
  const stream = await EventSocket.subscribe(it.demo);
  const sockets = [];
  let last = 200;
  while (last === 200 && sockets.length < 400) {
    sockets.push(...await Promise.all(Array.from({ length: 10 }, halfUpload)));
    last = await status();
  }
  assert.equal(last, 503, `after ${sockets.length} half uploads`);
  stream.send({ ping: { nonce: 1 } }); // what is open goes on, with no more than it has
  await stream.frame('pong');
  stream.send({ subscribe: { id: 2 } });
  await eventually('the end of the stream', () => stream.ws.closed);
  assert.equal(stream.ws.closed.code, 1013);
  for (const socket of sockets) socket.destroy();
  const from = performance.now();
  await eventually('the gateway serves again', async () => (await status()) === 200, 20000);
  t.diagnostic(`503 after ${sockets.length} uploads of 256 KiB; 200 again after ${Math.round(performance.now() - from)} ms`);
});
