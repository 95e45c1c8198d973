// MergeProspects: one command, two events, two prospects become one. It has no REST call of its own: what is tested
// here is what every command of the contract gets by itself.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { call, Client } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { decode } from './kit/protobuf.mjs';
import { EventSocket } from './kit/websocket.mjs';

const it = {};
let n = 0;
const person = (more = {}) => ({ firstName: 'Grace', lastName: `Hopper ${++n}`, email: `merge-${n}@example.org`, ...more });
const idOf = (outcome) => Number(outcome.subject.split('/')[1]);

async function added(body = person()) {
  const outcome = await it.demo.create(body);
  assert.equal(outcome.status, 'succeeded');
  return idOf(outcome);
}

async function merge(prospectId, mergedProspectId, more = {}) {
  const body = { prospectId, mergedProspectId, expectedVersion: -1, ...more };
  const reply = await it.demo.post('/api/commands/MergeProspects', body);
  assert.equal(reply.status, 202, String(reply.body));
  return it.demo.outcome(reply.json.commandId);
}

async function put(id, body, version) {
  const reply = await it.demo.send('PUT', `/api/prospects/${id}`, body, { 'if-match': version });
  assert.equal(reply.status, 202, String(reply.body));
  return it.demo.outcome(reply.json.commandId);
}

const history = async (id) => (await it.demo.get(`/api/prospects/${id}/history`)).json.items;

before(async () => {
  it.installation = await Installation.start();
  it.demo = await Client.demo(it.installation);
});
after(() => it.installation?.stop());

test('both events come in order, caused by the one command; when it has succeeded, reads show it', async () => {
  const stays = await added(person({ notes: 'own notes' }));
  const goes = await added(person({ phone: '+1 555 0100', notes: 'not taken', email: 'merge-goes@example.org' }));
  const socket = await EventSocket.subscribe(it.demo);
  const outcome = await merge(stays, goes, { expectedVersion: 1, mergedExpectedVersion: 1 });
  assert.deepEqual([outcome.status, outcome.subject], ['succeeded', `prospect/${stays}`]);

  const { status, headers } = await it.demo.get(`/api/prospects/${goes}`);
  assert.deepEqual([status, headers.location], [308, `/api/prospects/${stays}`]);
  const { json: now } = await it.demo.get(headers.location);
  assert.deepEqual([now.version, now.phone, now.notes], [2, '+1 555 0100', 'own notes']);
  const listed = (await it.demo.list()).map((row) => row.prospectId);
  assert.ok(listed.includes(stays) && !listed.includes(goes));
  assert.deepEqual((await it.demo.list('&query=merge-goes')).map((row) => row.prospectId), []);

  await socket.event((e) => e.causationId === outcome.commandId && e.eventType === 'ProspectUpdated');
  const [merged, updated, ...more] = socket.events.filter((e) => e.causationId === outcome.commandId);
  assert.equal(more.length, 0);
  assert.deepEqual([merged.eventType, merged.subject, merged.subjectVersion], ['ProspectMerged', `prospect/${goes}`, 2]);
  assert.deepEqual([updated.eventType, updated.subject, updated.subjectVersion], ['ProspectUpdated', `prospect/${stays}`, 2]);
  assert.equal(updated.sequence, merged.sequence + 1);
  assert.equal(outcome.eventId, updated.eventId);
  assert.deepEqual(decode('ProspectMerged', merged.data), { prospectId: goes, mergedInto: stays, version: 2 });
  assert.deepEqual(decode('ProspectUpdated', updated.data).changedFields, ['phone']);
  socket.close();

  const items = await history(goes);
  assert.deepEqual(items.map((e) => e.eventType), ['ProspectMerged', 'ProspectCreated']);
  assert.deepEqual(items[0].data, { prospectId: goes, mergedInto: stays, version: 2 });
});

test('the e-mail address of the one that goes is free again', async () => {
  const address = 'free-again@example.org';
  const goes = await added(person({ email: address }));
  const stays = await added();
  assert.equal((await it.demo.create(person({ email: address }))).code, 'duplicate_email');
  await merge(stays, goes);
  assert.equal((await put(stays, person({ email: address }), '*')).status, 'succeeded');
  assert.equal((await it.demo.create(person({ email: address }))).code, 'duplicate_email');
});

test('a merge of a merged one leads on', async () => {
  const [a, b, c] = [await added(), await added(), await added()];
  await merge(b, a);
  await merge(c, b);
  const { headers } = await it.demo.get(`/api/prospects/${a}`);
  assert.equal((await it.demo.get(headers.location)).headers.location, `/api/prospects/${c}`);
});

test('what cannot be merged is rejected, and nothing changes', async () => {
  const [stays, goes, gone] = [await added(), await added(), await added()];
  assert.equal((await merge(stays, gone)).status, 'succeeded');
  const CASES = [
    [stays, stays, {}, 'invalid', 'mergedProspectId', 'invalid_id'],
    [stays, 9007199254740991, {}, 'not_found', 'mergedProspectId', 'not_found'],
    [9007199254740991, goes, {}, 'not_found', 'prospectId', 'not_found'],
    [stays, gone, {}, 'not_found', 'mergedProspectId', 'not_found'],
    [gone, goes, {}, 'not_found', 'prospectId', 'not_found'],
    [stays, goes, { expectedVersion: 1 }, 'version_conflict', 'expectedVersion', 'version_conflict'],
    [stays, goes, { mergedExpectedVersion: 2 }, 'version_conflict', 'mergedExpectedVersion', 'version_conflict'],
  ];
  for (const [into, from, more, code, field, fieldCode] of CASES) {
    const { status, code: got, errors } = await merge(into, from, more);
    assert.deepEqual([status, got, errors[0].field, errors[0].code], ['rejected', code, field, fieldCode]);
  }
  const late = await put(gone, person(), '*');
  assert.deepEqual([late.status, late.code], ['rejected', 'not_found']);
  assert.equal((await it.demo.get(`/api/prospects/${goes}`)).headers.etag, '"1"');
  const bad = await it.demo.post('/api/commands/MergeProspects', { prospectId: stays, mergedProspectId: -1 });
  assert.equal(bad.status, 400);
  assert.deepEqual(bad.json.errors.map((e) => `${e.field}:${e.code}`), ['expectedVersion:required', 'mergedProspectId:invalid_id']);
});

test('another tenant has none of them', async () => {
  await it.installation.ctl('tenant', 'add', 'elsewhere');
  const scopes = 'prospects:read prospects:write prospects:pii';
  const made = await it.installation.ctlWith({ input: 'stranger-password\n' }, 'user', 'add', 'stranger', '--tenant', 'elsewhere', '--scopes', scopes, '--password-stdin');
  assert.equal(made.code, 0, made.stderr);
  const stranger = await new Client(it.installation.plainUrl, { username: 'stranger', password: 'stranger-password' }).login();
  const [stays, goes] = [await added(), await added()];
  const body = { prospectId: stays, mergedProspectId: goes, expectedVersion: -1 };
  const { json } = await stranger.post('/api/commands/MergeProspects', body);
  assert.equal((await stranger.outcome(json.commandId)).code, 'not_found');
  await merge(stays, goes);
  assert.equal((await stranger.get(`/api/prospects/${goes}`)).status, 404);
});

test('the same command again has one effect', async () => {
  const [stays, goes] = [await added(), await added()];
  const body = { commandId: randomUUID(), prospectId: stays, mergedProspectId: goes, expectedVersion: 1 };
  const replies = await Promise.all([1, 2, 3].map(() => it.demo.post('/api/commands/MergeProspects', body)));
  assert.deepEqual(replies.map((r) => [r.status, r.json.commandId]), Array(3).fill([202, body.commandId]));
  const outcome = await it.demo.outcome(body.commandId);
  assert.equal(outcome.status, 'succeeded');
  assert.equal((await it.demo.post('/api/commands/MergeProspects', body)).status, 202);
  assert.deepEqual(await it.demo.outcome(body.commandId), outcome);
  assert.deepEqual((await history(stays)).map((e) => e.subjectVersion), [2, 1]);
  assert.deepEqual((await history(goes)).map((e) => e.subjectVersion), [2, 1]);
});

// Only what may happen is known, not in which order: three commands race, of two ordering keys.
test('updates of both sides while they are merged: all or nothing, and every version once', async () => {
  const pairs = await Promise.all(Array.from({ length: 12 }, async () => [await added(), await added()]));
  await Promise.all(pairs.map(async ([stays, goes], i) => {
    const careful = i % 2 === 0;
    const match = careful ? '"1"' : '*';
    const work = [
      () => merge(stays, goes, careful ? { expectedVersion: 1, mergedExpectedVersion: 1 } : {}),
      () => put(stays, person(), match),
      () => put(goes, person(), match),
    ];
    const order = [[0, 1, 2], [1, 2, 0], [2, 0, 1]][i % 3];
    const outcomes = [];
    await Promise.all(order.map(async (k) => (outcomes[k] = await work[k]())));
    const [merged, first, second] = outcomes.map((o) => o.status === 'succeeded');
    if (careful) assert.equal(merged, !first && !second, JSON.stringify(outcomes));
    else assert.ok(merged && first, JSON.stringify(outcomes));
    const codes = outcomes.map((o) => o.code ?? '');
    if (merged && !second) assert.equal(codes[2], 'not_found');
    const [left, right] = [await history(stays), await history(goes)];
    const versions = (items) => items.map((e) => e.subjectVersion);
    const down = (count) => Array.from({ length: count }, (_, k) => count - k);
    assert.deepEqual(versions(left), down(1 + merged + first));
    assert.deepEqual(versions(right), down(1 + merged + second));
    assert.equal(right[0].eventType === 'ProspectMerged', merged);
    assert.equal((await it.demo.get(`/api/prospects/${goes}`)).status, merged ? 308 : 200);
  }));
});

test('it has appeared by itself: types, OpenAPI, AsyncAPI, schemas, the page for people', async () => {
  const { json: types } = await it.demo.get('/api/event-types');
  const event = types.events.find((type) => type.name === 'ProspectMerged');
  assert.deepEqual(event.fields.map((field) => field.name), ['prospectId', 'mergedInto', 'version']);
  const { fields } = types.events.find((type) => type.name === 'CommandRejected'); // a list of parts shows what they are made of
  const errors = fields.find((field) => field.name === 'errors');
  assert.deepEqual([errors.type, errors.repeated, errors.fields.map((field) => field.name)], ['message', true, ['field', 'code', 'message']]);
  const command = types.commands.find((type) => type.name === 'MergeProspects');
  assert.deepEqual(command.fields.filter((field) => field.widget !== 'hidden').map((field) => field.name), ['prospectId', 'mergedProspectId']);
  const get = async (path) => {
    const { status, json, body } = await call(it.installation.plainUrl + path);
    assert.equal(status, 200, path);
    return json ?? String(body);
  };
  const openapi = await get('/openapi.json');
  assert.ok(openapi.paths['/api/commands/MergeProspects'].post && openapi.components.schemas.MergeProspects);
  assert.ok(openapi.paths['/api/prospects/{prospectId}'].get.responses[308]);
  assert.ok((await get('/asyncapi.json')).components.messages.ProspectMerged);
  assert.deepEqual((await get('/schemas/MergeProspects.json')).required.toSorted(), ['expectedVersion', 'mergedProspectId', 'prospectId']);
  const page = await get('/docs');
  for (const title of ['Merge prospects', 'Prospect merged']) assert.ok(page.includes(title), title);
});
