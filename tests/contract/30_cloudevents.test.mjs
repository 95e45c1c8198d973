// Our CloudEvents against the public package, in both directions and for every type of event: what we give out it reads,
// and what it makes (structured, binary, batched) our webhooks take, give on to the WebSocket and keep in the log.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { CloudEvent, HTTP } from 'cloudevents';
import { call } from '../e2e/kit/client.mjs';
import { parse } from '../e2e/kit/token.mjs';
import { eventually } from '../e2e/kit/wait.mjs';
import { EventSocket } from '../e2e/kit/websocket.mjs';
import { Contract } from './kit.mjs';

const NEVER_SHOWN = 'EventSkipped'; // it moves positions and nothing else
const BATCH = 'application/cloudevents-batch+json';
let it, hooks, secret, claims, socket, next;

before(async () => {
  it = await Contract.start();
  const webhook = '/api/events/webhook';
  hooks = [it.installation.plainUrl + webhook, it.installation.projectionUrl + webhook];
  secret = readFileSync(path.join(it.installation.home, 'secrets/webhook'), 'utf8').trim();
  claims = parse(it.demo.token).claims;
});
after(() => it?.stop());

/** The package's reading of GET /api/events. */
async function readLog(position) {
  const { status, headers, body } = await it.demo.get(`/api/events?after=${position}&limit=1000`);
  assert.equal(status, 200);
  const text = body.toString();
  const events = text === '[]' ? [] : HTTP.toEvent({ headers: { 'content-type': headers['content-type'] }, body: text });
  return { events: [events].flat(), raw: JSON.parse(text), position: Number(headers['x-events-position']) };
}

/** The members that an event has, with the time in one form. */
const plain = (event) => {
  const { time, ...rest } = JSON.parse(JSON.stringify(event));
  return { ...rest, time: new Date(time).toISOString() };
};

test('what we give out the package reads, with equal attributes', async () => {
  const ada = { firstName: 'Ada', lastName: 'Lövelace', email: 'ada@example.org' };
  const { subject } = await it.demo.create(ada);
  const update = await it.demo.send('PUT', `/api/prospects/${subject.split('/')[1]}`, { ...ada, notes: 'a "b"\n' }, { 'if-match': '"1"' });
  await it.demo.outcome(update.json.commandId);
  assert.equal((await it.demo.create(ada)).status, 'rejected');
  const log = await eventually('three events', async () => {
    const read = await readLog(0);
    return read.events.length >= 3 && read;
  });
  for (const [i, event] of log.events.entries()) {
    assert.ok(event instanceof CloudEvent && event.validate(), event.type);
    assert.deepEqual(plain(event), plain(log.raw[i]));
  }
  next = log.position + 1;
});

/** A value for a member, by its JSON Schema; `defs` are the parts that the schema names. */
function valueOf(name, schema, defs, number) {
  if (schema.$ref) return membersOf(defs[schema.$ref.split('/').at(-1)], defs, number);
  if (schema.anyOf) return valueOf(name, schema.anyOf[0], defs, number);
  if (schema.enum) return schema.enum.at(-1);
  if (schema.contentEncoding === 'base64') return 'AQID';
  if (schema.format === 'date-time') return '2026-01-01T00:00:00.5Z';
  switch (schema.type) {
    case 'array': return name === 'changedFields' ? ['email', 'phone'] : [valueOf(name, schema.items, defs, number)];
    case 'integer': return name.endsWith('Id') ? number : 1;
    case 'boolean': return true;
    default: return schema.pattern ? String(number) : `text ü ${number}`;
  }
}

function membersOf({ properties }, defs, number) {
  const members = Object.entries(properties).filter(([name]) => !name.startsWith('$'));
  return Object.fromEntries(members.map(([name, schema]) => [name, valueOf(name, schema, defs, number)]));
}

async function dataOf(type, number) {
  const schema = await it.json(`/schemas/${type}.json`);
  return membersOf(schema, schema.$defs, number);
}

async function make(type, number) {
  return new CloudEvent({
    id: randomUUID(), source: '/services/ProspectService', type, subject: `prospect/${number}`, time: '2026-11-23T10:20:30.250Z',
    datacontenttype: 'application/json', schemaversion: '1.0', correlationid: randomUUID(), causationid: randomUUID(),
    tenantid: claims.tenant ?? claims.tid ?? 'demo', sequence: String(number).padStart(19, '0'), watermark: String(number).padStart(19, '0'),
    subjectversion: '1', issuedby: claims.sub, traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    data: await dataOf(type, number),
  });
}

async function post(headers, body) {
  for (const url of hooks) {
    const reply = await call(url, { method: 'POST', headers: { ...headers, 'x-events-webhook-secret': secret }, body });
    assert.equal(reply.status, 200, `${url}: ${reply.body}`);
  }
}

/** Event Grid's own schema: five names of its own, and our extensions beside them. */
function toGridSchema(event) {
  const { specversion, source, datacontenttype, type, time, schemaversion, ...rest } = JSON.parse(JSON.stringify(event));
  return { ...rest, topic: '/subscriptions/x', eventType: type, eventTime: time, dataVersion: schemaversion, metadataVersion: '1' };
}

const MODES = {
  structured: async (events) => { for (const event of events) { const { headers, body } = HTTP.structured(event); await post(headers, body); } },
  binary: async (events) => { for (const event of events) { const { headers, body } = HTTP.binary(event); await post(headers, body); } },
  batched: (events) => post({ 'content-type': BATCH }, JSON.stringify(events)),
  "Event Grid's schema": (events) => post({ 'content-type': 'application/json' }, JSON.stringify(events.map(toGridSchema))),
};

/** Gives events to the webhooks; they must come by WebSocket and stand in the log as they were made. */
async function passThrough(events, send) {
  const before_ = next - 1;
  next += events.length;
  await send(events);
  const shown = events.filter(({ type }) => type !== NEVER_SHOWN);
  for (const { id } of shown) await socket.event((event) => event.eventId === id);
  const log = await eventually('the log', async () => {
    const read = await readLog(before_);
    return read.position >= next - 1 && read;
  });
  assert.deepEqual(log.events.map(({ id }) => id), shown.map(({ id }) => id));
  return { log, shown };
}

test('what the package makes arrives, in every mode, for every type of event', async (t) => {
  await it.installation.kill('relay'); // from here on the numbers are ours
  socket = await EventSocket.subscribe(it.demo);
  for (const [mode, send] of Object.entries(MODES))
    await t.test(mode, async () => {
      const events = await Promise.all(it.types.events.map(({ name }, i) => make(name, next + i)));
      const { log, shown } = await passThrough(events, send);
      for (const [i, event] of log.events.entries()) {
        const { data, ...attributes } = plain(event), { data: sent, ...made } = plain(shown[i]);
        assert.deepEqual(attributes, made, mode);
        for (const [name, value] of Object.entries(sent)) assert.deepEqual(data[name], value, `${event.type}.${name}`);
      }
    });
});

test('binary mode: values of header fields are unquoted, then percent-decoded once', async () => {
  const event = await make('ProspectCreated', next);
  const { log } = await passThrough([event], async () => {
    const { headers, body } = HTTP.binary(event);
    await post({ ...headers, 'ce-subject': `prospect%2f${next - 1}`, 'ce-correlationid': '"a \\"b\\""', 'ce-causationid': 'Euro%20%E2%82%AC%2541' }, body);
  });
  const [{ subject, correlationid, causationid }] = log.raw;
  assert.deepEqual({ subject, correlationid, causationid }, { subject: event.subject, correlationid: 'a "b"', causationid: 'Euro €%41' });
});

test('binary mode: what is no UTF-8 or lacks an attribute is kept as a dead letter and changes nothing', async () => {
  for (const wrong of [{ 'ce-subject': '%C0%A0' }, { 'ce-id': '' }, { 'ce-time': 'today' }]) {
    const { headers, body } = HTTP.binary(await make('ProspectCreated', next));
    await post({ ...headers, ...wrong }, body);
  }
  assert.equal((await readLog(next - 1)).events.length, 0);
  await passThrough([await make('ProspectCreated', next)], MODES.binary);
});
