// The gateway's memory has a limit: above it requests are shed, each protocol in its own words, and below it all is well.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { call, callHttp2, Client } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { eventually } from './kit/wait.mjs';

async function withGateway(env, use) {
  const installation = await Installation.start({ env });
  try {
    await use(installation, installation.plainUrl);
  } finally {
    await installation.stop();
  }
}

const RPC = { method: 'POST', headers: { 'content-type': 'application/grpc', te: 'trailers' }, body: Buffer.alloc(5) };

test('short of memory: 503 with Retry-After, and still the word that it lives', () =>
  withGateway({ EVENTS_MEMORY_LIMIT: '1' }, async (installation, url) => {
    for (const one of [call, callHttp2]) {
      const reply = await one(`${url}/api/prospects`);
      assert.equal(reply.status, 503);
      assert.equal(reply.json.type, '/problems/unavailable');
      assert.equal(reply.headers['retry-after'], '1');
    }
    assert.equal((await callHttp2(`${url}/grpc.health.v1.Health/Check`, RPC)).status, 200);
    assert.equal((await call(`${url}/health/live`)).status, 200);
    const { body } = await call(`http://${installation.admin.gateway}/metrics`);
    assert.match(body.toString(), /^events_gateway_shed_total\{cause="memory"\} 2$/m);
  }));

/** A connection that has sent all but the last byte of a command. */
async function halfUpload(url) {
  const { hostname, port } = new URL(url);
  const socket = net.connect(Number(port), hostname).on('error', () => {});
  await once(socket, 'connect');
  socket.write(`POST /api/prospects HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 262144\r\n\r\n`);
  socket.write(Buffer.alloc(262143, 'x'));
  return socket;
}

test('what fills the memory is met by 503 and RESOURCE_EXHAUSTED, and when it has gone the gateway serves again', (t) =>
  withGateway({ EVENTS_MEMORY_LIMIT: '48' }, async (installation, url) => {
    const { authorization } = (await Client.demo(installation)).authorization;
    const status = async () => (await call(`${url}/docs.css`)).status;
    assert.equal(await status(), 200);
    const sockets = [];
    let last = 200;
    while (last === 200 && sockets.length < 400) {
      sockets.push(...await Promise.all(Array.from({ length: 10 }, () => halfUpload(url))));
      last = await status();
    }
    assert.equal(last, 503, `after ${sockets.length} half uploads`);
    const { headers } = await callHttp2(`${url}/events.v1.ProspectQueries/GetProspect`,
      { ...RPC, headers: { ...RPC.headers, authorization } });
    assert.equal(headers['grpc-status'], '8');
    for (const socket of sockets) socket.destroy();
    const from = performance.now();
    await eventually('the gateway serves again', async () => (await status()) === 200, 12000);
    t.diagnostic(`503 after ${sockets.length} uploads of 256 KiB; 200 again after ${Math.round(performance.now() - from)} ms`);
  }));
