// The whole path with RabbitMQ as the command queue: an import has the outcome that it has on files; kill -9 of the
// gateway, of events-prospects and of the broker in the middle lose nothing, double nothing and count as nobody's try.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Imports } from './kit/imports.mjs';
import { Installation } from './kit/installation.mjs';
import { Rabbitmq } from './kit/rabbitmq.mjs';
import { eventually } from './kit/wait.mjs';

const it = {};

before(async () => {
  it.rabbitmq = await Rabbitmq.start();
  it.installation = await Installation.start({ env: { EVENTS_QUEUE: it.rabbitmq.url() } });
  it.imports = await Imports.begin(it.installation, 250);
  it.demo = it.imports.demo;
});
after(async () => {
  try {
    await it.imports?.stop();
    await it.installation?.stop();
  } finally {
    await it.rabbitmq?.stop(); // else a fault of the programs leaves a server, and a test that never ends
  }
});

const outcome = (id) => it.demo.get(`/api/commands/${id}`);

test('a part of the data set has its expected outcome, also the second time', () => it.imports.dataSet(400));

test('a command that is waiting is pending, one that nobody knows too: a broker cannot be searched', async () => {
  assert.deepEqual((await outcome(crypto.randomUUID())).json.status, 'pending');
  assert.equal((await outcome('no-id')).status, 404);
});

test('the same id with another body: the first outcome stays, the second sender is told', async () => {
  const body = { firstName: 'Two', lastName: 'Bodies', email: 'two@example.org', commandId: crypto.randomUUID() };
  assert.equal((await it.demo.send('POST', '/api/prospects', body)).status, 202);
  await eventually('the outcome', async () => (await outcome(body.commandId)).json.status === 'succeeded');
  const told = () => it.imports.subscriber.events.filter((e) => e.eventType === 'CommandRejected' && e.causationId === body.commandId);
  assert.equal((await it.demo.send('POST', '/api/prospects', body)).status, 202, 'the same again is no conflict');
  assert.equal((await it.demo.send('POST', '/api/prospects', { ...body, lastName: 'Other' })).status, 202);
  await eventually('CommandRejected', () => told().length === 1);
  assert.equal((await outcome(body.commandId)).json.status, 'succeeded');
  it.imports.accepted++;
});

for (const program of ['gateway', 'prospects'])
  test(`kill -9 of events-${program} during an import`, () => it.imports.round(async () => {
    await it.installation.kill(program);
    await it.installation.run(program);
  }));

test('kill -9 of the broker during an import; meanwhile a command is answered 503, and reads go on', () => it.imports.round(async () => {
  await it.rabbitmq.down();
  const began = Date.now();
  const body = { firstName: 'Out', lastName: 'Age', email: 'outage@example.org', commandId: crypto.randomUUID() };
  const reply = await it.demo.send('POST', '/api/prospects', body);
  assert.equal(reply.status, 503);
  assert.ok(Number(reply.headers['retry-after'] ?? reply.headers.get?.('retry-after')) > 0);
  assert.ok(Date.now() - began < 15000, 'in time');
  assert.equal((await it.demo.get('/api/prospects?limit=1')).status, 200);
  await it.rabbitmq.up();
  await eventually('it is accepted', async () => (await it.demo.send('POST', '/api/prospects', body)).status === 202, 60000, 200);
  await eventually('its outcome', async () => (await outcome(body.commandId)).json.status === 'succeeded', 30000);
  it.imports.accepted++;
}));

test('nothing is lost, nothing doubled, and no outage was a try', async () => {
  await it.imports.nothingIsLostOrDoubled();
  const log = readFileSync(path.join(it.installation.home, 'logs/prospects.log'), 'utf8');
  assert.doesNotMatch(log, /dead letter/);
});
