// Event deliveries from outside: secrets, handshakes, bad bodies, and events that come twice.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { call, Client } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { sleep } from './kit/wait.mjs';

const it = {};
const BATCH = { 'content-type': 'application/cloudevents-batch+json; charset=utf-8' };

before(async () => {
  it.installation = await Installation.start();
  it.demo = await Client.demo(it.installation);
  it.secret = readFileSync(path.join(it.installation.home, 'secrets/webhook'), 'utf8').trim();
  it.hooks = [`${it.installation.plainUrl}/api/events/webhook`, `${it.installation.projectionUrl}/api/events/webhook`];
});
after(() => it.installation?.stop());

const own = () => ({ 'x-events-webhook-secret': it.secret });

test('a wrong secret or none is 401, for handshakes too', async () => {
  for (const url of it.hooks)
    for (const headers of [{}, { 'x-events-webhook-secret': 'wrong' }, { 'x-events-webhook-secret': '' }, { 'x-events-webhook-secret': it.secret.slice(1) }]) {
      assert.equal((await call(url, { method: 'POST', headers: { ...BATCH, ...headers }, body: '[]' })).status, 401, url);
      assert.equal((await call(url, { method: 'OPTIONS', headers: { 'webhook-request-origin': 'eventgrid.azure.net', ...headers } })).status, 401, url);
    }
});

test('the CloudEvents handshake is answered, with the secret in the header or in the query', async () => {
  for (const url of it.hooks)
    for (const [at, headers] of [[url, own()], [`${url}?secret=${encodeURIComponent(it.secret)}`, {}]]) {
      const reply = await call(at, { method: 'OPTIONS', headers: { 'webhook-request-origin': 'eventgrid.azure.net', 'webhook-request-rate': '120', ...headers } });
      assert.equal(reply.status, 200, at);
      assert.equal(reply.headers['webhook-allowed-origin'], 'eventgrid.azure.net');
      assert.ok(reply.headers['webhook-allowed-rate']);
    }
});

test("Event Grid's own handshake is answered with its code", async () => {
  const body = JSON.stringify([{ id: '1', topic: '/t', subject: '', eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
    eventTime: '2026-11-23T10:20:30Z', dataVersion: '2', metadataVersion: '1', data: { validationCode: '512d38b6-c7b8-40c8-89fe-f46f9e9622b6', validationUrl: 'https://example.org/validate' } }]);
  for (const url of it.hooks) {
    const reply = await call(url, { method: 'POST', headers: { 'content-type': 'application/json', 'aeg-event-type': 'SubscriptionValidation', ...own() }, body });
    assert.equal(reply.status, 200, `${url} ${reply.body}`);
    assert.equal(JSON.parse(reply.body).validationResponse, '512d38b6-c7b8-40c8-89fe-f46f9e9622b6');
  }
});

test('bad bodies are 400, another type 415, nothing at all 200', async () => {
  for (const url of it.hooks) {
    const post = async (body, type = BATCH) => (await call(url, { method: 'POST', headers: { ...type, ...own() }, body })).status;
    assert.equal(await post('['), 400, url);
    assert.equal(await post('"text"'), 400, url);
    assert.equal(await post(Buffer.from([0xff, 0xfe])), 400, url);
    assert.equal(await post('[]'), 200, url);
    assert.ok([400, 415].includes(await post('[]', { 'content-type': 'text/plain' })), url);
  }
});

test('one bad event of a batch does not fail the batch', async () => {
  for (const url of it.hooks) {
    const body = JSON.stringify([{ specversion: '1.0', id: 'x' }, 7]);
    assert.equal((await call(url, { method: 'POST', headers: { ...BATCH, ...own() }, body })).status, 200, url);
  }
});

test('an event that is delivered again changes nothing', async () => {
  const { subject } = await it.demo.create({ firstName: 'Ada', lastName: 'Twice', email: 'twice@example.org' });
  const id = subject.split('/')[1];
  const before_ = (await it.demo.get(`/api/prospects/${id}`)).json;
  const page = await it.demo.get('/api/events?after=0');
  assert.equal(page.status, 200, String(page.body));
  assert.match(page.headers['content-type'], /^application\/cloudevents-batch\+json/);
  for (const url of it.hooks)
    assert.equal((await call(url, { method: 'POST', headers: { ...BATCH, ...own() }, body: page.body })).status, 200, url);
  await sleep(300);
  assert.deepEqual((await it.demo.get(`/api/prospects/${id}`)).json, before_);
  assert.equal((await it.demo.get('/api/events?after=0')).body.length, page.body.length);
});
