// A running system against its own documents: events, answers and refusals are what the schemas say.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { call, JSON_TYPE } from '../e2e/kit/client.mjs';
import { eventually } from '../e2e/kit/wait.mjs';
import { Contract } from './kit.mjs';

let it, schemas, component;
const ada = { firstName: 'Ada', lastName: 'Lovelace', email: 'ada@example.org', phone: '+44 20 7946 0958', notes: 'one\ntwo' };

before(async () => {
  it = await Contract.start();
  schemas = await it.schemas();
  component = it.components;
});
after(() => it?.stop());

function assertValid(problems, what) {
  assert.deepEqual(problems, [], what);
}

/** One of each: created, updated, rejected. The prospect's id. */
async function makeEvents() {
  const created = await it.demo.create(ada);
  const id = Number(created.subject.split('/')[1]);
  const update = await it.demo.send('PUT', `/api/prospects/${id}`, { ...ada, phone: '' }, { 'if-match': '"1"' });
  assertValid(component('CommandAccepted', update.json), 'CommandAccepted');
  const updated = await it.demo.outcome(update.json.commandId);
  const rejected = await it.demo.create(ada);
  assert.deepEqual([created.status, updated.status, rejected.status], ['succeeded', 'succeeded', 'rejected']);
  for (const outcome of [created, updated, rejected]) assertValid(component('CommandOutcome', outcome), 'CommandOutcome');
  return id;
}

test('events of GET /api/events and of the history fit their schemas', async () => {
  const id = await makeEvents();
  const log = await eventually('three events', async () => {
    const { json } = await it.demo.get('/api/events?after=0');
    return json.length >= 3 && json;
  });
  const known = Object.keys((await it.json('/schemas/CloudEvent.json')).properties);
  for (const event of log) {
    assertValid(schemas.validate('CloudEvent', event), event.type);
    assertValid(schemas.validate(event.type, event.data), event.type);
    assert.deepEqual(Object.keys(event).filter((name) => !known.includes(name)), [], 'every attribute is described');
  }
  const types = new Set(log.map((event) => event.type));
  for (const type of ['ProspectCreated', 'ProspectUpdated', 'CommandRejected']) assert.ok(types.has(type), type);
  const { json: history } = await it.demo.get(`/api/prospects/${id}/history`);
  assertValid(component('EventPage', history), 'EventPage');
  const members = Object.keys((await it.json('/schemas/Envelope.json')).properties).sort();
  for (const envelope of history.items) {
    assertValid(schemas.validate('Envelope', envelope), envelope.eventType);
    assertValid(schemas.validate(envelope.eventType, envelope.data), envelope.eventType);
    assert.deepEqual(Object.keys(envelope).sort(), members, 'the members of the envelope');
  }
});

test('answers fit the schemas that openapi.json names', async () => {
  const list = await it.demo.get('/api/prospects');
  const some = list.json.items[0];
  const paths = ['/api/prospects', `/api/prospects/${some.prospectId}`, '/api/event-types', '/health/live', '/.well-known/jwks.json'];
  for (const path of paths) {
    const { status, json, headers } = await it.demo.get(path);
    const described = it.openapi.paths[path.replace(/\/\d+/, '/{prospectId}')].get.responses[status];
    const content = described.content[headers['content-type'].split(';')[0]];
    assert.ok(content, `${path}: ${headers['content-type']}`);
    if (content.schema.$ref) assertValid(component(content.schema.$ref.split('/').at(-1), json), path);
    for (const name of Object.keys(described.headers)) assert.ok(headers[name.toLowerCase()], `${path}: ${name}`);
  }
  for (const kind of ['events', 'commands'])
    for (const type of it.types[kind]) assertValid(component('MessageDescription', type), type.name);
  assertValid(component('TokenReply', it.demo.tokens), 'TokenReply');
});

test('refusals have a described status and are Problems', async () => {
  const ASKED = [
    ['POST', '/api/prospects', '/api/prospects', '{', {}, 400],
    ['POST', '/api/prospects', '/api/prospects', '{}', { 'content-type': 'text/plain' }, 415],
    ['POST', '/api/prospects', '/api/prospects', '{}', { authorization: '' }, 401],
    ['PUT', '/api/prospects/1', '/api/prospects/{prospectId}', '{}', {}, 428],
    ['GET', '/api/prospects/999', '/api/prospects/{prospectId}', undefined, {}, 404],
    ['GET', '/api/prospects?limit=0', '/api/prospects', undefined, {}, 400],
    ['GET', '/schemas/x', '/schemas/{name}', undefined, {}, 404],
  ];
  for (const [method, path, described, body, headers, status] of ASKED) {
    const reply = await call(it.url + path, { method, body, headers: { ...it.demo.authorization, ...JSON_TYPE, ...headers } });
    assert.equal(reply.status, status, `${method} ${path}`);
    assert.ok(it.openapi.paths[described][method.toLowerCase()].responses[status], `${method} ${path}: ${status}`);
    assertValid(component('Problem', reply.json), `${method} ${path}`);
  }
});

test('examples are valid, and the example of a command is accepted', async () => {
  for (const name of schemas.names) {
    const { examples } = await it.json(`/schemas/${name}.json`);
    for (const example of examples) assertValid(schemas.validate(name, example), name);
  }
  for (const message of Object.values(it.asyncapi.components.messages))
    for (const { payload } of message.examples ?? []) assertValid(schemas.validate('CloudEvent', payload), message.name);
  for (const { name } of it.types.commands) {
    const { example } = it.openapi.paths[`/api/commands/${name}`].post.requestBody.content['application/json'];
    delete example.commandId; // the same in every example
    assert.equal((await it.demo.post(`/api/commands/${name}`, example)).status, 202, name);
  }
});

// What a schema cannot say: lengths after trimming and composing. There it is the stricter of the two.
test('the schema of CreateProspect agrees with the shared validation cases', async () => {
  const lines = readFileSync(new URL('../data/validation.jsonl', import.meta.url), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  const disagreed = [];
  let compared = 0;
  for (const line of lines) {
    let body;
    try {
      body = JSON.parse(line.body);
    } catch {
      continue;
    }
    if (typeof body !== 'object' || body === null || Object.values(body).includes(null)) continue; // null is absent
    compared++;
    const good = schemas.validate('CreateProspect', body).length === 0;
    if (good !== (line.errors.length === 0)) disagreed.push(`${line.name}: the schema says ${good}`);
  }
  assert.ok(compared > 100, `${compared} cases`);
  const LENGTHS = ['firstName', 'lastName'].flatMap((field) =>
    ['100 and spaces around', '100 after composing'].map((what) => `${what} in ${field}: the schema says false`));
  assert.deepEqual(disagreed, LENGTHS);
});
