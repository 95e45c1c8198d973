// TLS: versions, resumption, certificates that are renewed while connections are open, certificates of clients.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import http2 from 'node:http2';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { call, Client } from './kit/client.mjs';
import { BUILD, Installation } from './kit/installation.mjs';
import { eventually } from './kit/wait.mjs';
import { EventSocket } from './kit/websocket.mjs';

const it = {};
const prospect = (email) => ({ firstName: 'Ada', lastName: 'Lovelace', email });

before(async () => {
  it.installation = await Installation.start({ env: { EVENTS_THREADS: '2' } });
  it.demo = await Client.demo(it.installation);
  it.port = Number(new URL(it.installation.url).port);
});
after(() => it.installation?.stop());

const home = (name) => path.join(it.installation.home, name);

function makeCertificate(name) {
  const [key, certificate] = [home(`${name}.key`), home(`${name}.crt`)];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', `/CN=${name}`,
    '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  return { key: readFileSync(key), cert: readFileSync(certificate), certificate };
}

/** A handshake and one request: { name, version, protocol, reused, session, answer }; rejects where one fails. */
function talk(options = {}) {
  return new Promise((done, fail) => {
    const socket = tls.connect({ port: it.port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, ...options });
    const seen = { answer: '' };
    socket.on('secureConnect', () => {
      Object.assign(seen, { name: socket.getPeerCertificate().subject?.CN, version: socket.getProtocol(), protocol: socket.alpnProtocol, reused: socket.isSessionReused() });
      socket.write('GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    });
    socket.on('session', (session) => (seen.session = session));
    socket.on('data', (bytes) => (seen.answer += bytes));
    socket.on('error', fail);
    socket.on('close', () => (seen.answer.startsWith('HTTP/1.1 200') ? done(seen) : fail(new Error(`no answer: ${seen.answer}`))));
  });
}

test('TLS 1.2 and 1.3, nothing older; ALPN; what it does not know is refused', async () => {
  for (const version of ['TLSv1.2', 'TLSv1.3']) assert.equal((await talk({ minVersion: version, maxVersion: version })).version, version);
  for (const version of ['TLSv1', 'TLSv1.1'])
    await assert.rejects(talk({ minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' }), version);
  assert.equal((await talk({ ALPNProtocols: ['http/1.1'] })).protocol, 'http/1.1');
  await assert.rejects(talk({ ALPNProtocols: ['spdy/3'] }));
  await assert.rejects(talk({ maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' }), 'a cipher without forward secrecy');
});

test('who is no trusted proxy is not believed', async () => {
  const { headers } = await call(it.installation.plainUrl, { headers: { 'x-forwarded-proto': 'https' } });
  assert.equal(headers['strict-transport-security'], undefined);
});

test('sessions are resumed on every loop, and each use gives the ticket for the next', async () => {
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    let { session } = await talk({ minVersion: version, maxVersion: version });
    for (let i = 0; i < 6; i++) {
      const next = await talk({ minVersion: version, maxVersion: version, session });
      assert.equal(next.reused, true, `${version}, use ${i}`);
      session = next.session ?? session;
    }
  }
});

test('SIGHUP: open connections stay, new ones see the new certificate; a broken one is not taken', async () => {
  const gateway = it.installation.children.get('gateway');
  const own = { rejectUnauthorized: false };
  const socket = await EventSocket.open({ url: it.installation.url, authorization: it.demo.authorization }, { tls: own });
  socket.send({ subscribe: { id: 1 } });
  await socket.frame('subscribed');
  const session = http2.connect(it.installation.url, own);
  const ask = () => new Promise((done, fail) => session.request({ ':path': '/health/live' }).on('response', (h) => done(h[':status'])).on('error', fail).resume());
  assert.equal(await ask(), 200);
  const old = (await talk()).name;
  const fresh = makeCertificate('renewed');
  renameSync(home('renewed.key'), home('tls.key'));
  renameSync(fresh.certificate, home('tls.crt'));
  gateway.kill('SIGHUP');
  await eventually('the new certificate', async () => (await talk()).name === 'renewed');
  assert.notEqual(old, 'renewed');
  const { subject } = await it.demo.create(prospect('reload@example.org'));
  await socket.event((event) => event.subject === subject);
  assert.equal(await ask(), 200);
  assert.equal(socket.ws.closed, null);
  writeFileSync(home('tls.crt'), 'no certificate');
  gateway.kill('SIGHUP');
  await eventually('an error in the log', () => /reload failed/.test(readFileSync(home('logs/gateway.log'), 'utf8')));
  assert.equal((await talk()).name, 'renewed');
  writeFileSync(home('tls.crt'), fresh.cert);
  assert.equal(await ask(), 200);
  session.close();
  socket.close();
});

test('certificates of clients: asked for, or required, or a bad setting', async () => {
  const [good, bad] = [makeCertificate('good'), makeCertificate('bad')];
  const { env } = it.installation;
  const stop = async () => {
    const gateway = it.installation.children.get('gateway');
    gateway.kill('SIGTERM');
    await gateway.exited;
  };
  await stop();
  for (const wrong of [{ EVENTS_TLS_CLIENT_VERIFY: 'perhaps' }, { EVENTS_TLS_CLIENT_CA: '/nonexistent' }]) {
    const ended = spawnSync(path.join(BUILD, 'events-gateway'), { env: { ...env, EVENTS_ADMIN_LISTEN: '127.0.0.1:0', ...wrong } });
    assert.equal(ended.status, 78, JSON.stringify(wrong));
  }
  Object.assign(env, { EVENTS_TLS_CLIENT_CA: good.certificate, EVENTS_TLS_CLIENT_VERIFY: 'optional' });
  await it.installation.run('gateway');
  await talk();
  await talk(good);
  await assert.rejects(talk(bad));
  await stop();
  env.EVENTS_TLS_CLIENT_VERIFY = 'required';
  await it.installation.run('gateway');
  await assert.rejects(talk());
  await assert.rejects(talk(bad));
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) assert.equal((await talk({ ...good, maxVersion })).version, maxVersion);
});
