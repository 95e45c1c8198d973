// One trace shows all of a command's way: from the POST over the five programs to the WebSocket, by the traceparent that
// the command's and the event's envelopes carry.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from './kit/client.mjs';
import { Collector, KINDS } from './kit/collector.mjs';
import { BUILD, Installation } from './kit/installation.mjs';
import { grpc, grpcClient, unary } from './kit/rpc.mjs';
import { eventually } from './kit/wait.mjs';
import { EventSocket } from './kit/websocket.mjs';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const it = {};

before(async () => {
  it.collector = await Collector.start();
  it.installation = await Installation.start({
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${it.collector.url}/prefix/`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a=b, x-other = two',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test%20one',
      OTEL_TRACES_SAMPLER_ARG: '0',
      OTEL_BSP_SCHEDULE_DELAY: '20',
    },
  });
  it.demo = await Client.demo(it.installation);
});
after(() => it.installation?.stop().finally(() => it.collector.stop()));

const WAY = [
  ['events-gateway', 'POST /api/prospects', 'server'],
  ['events-gateway', 'enqueue identity-commands', 'producer'],
  ['events-prospects', 'process identity-commands', 'consumer'],
  ['events-prospects', 'COMMIT', 'client'],
  ['events-relay', 'publish prospect-events', 'producer'],
  ['events-grid', 'deliver prospect-events', 'producer', 'projection'],
  ['events-grid', 'deliver prospect-events', 'producer', 'gateway'],
  ['events-projection', 'process prospect-events', 'consumer'],
  ['events-projection', 'COMMIT', 'client'],
  ['events-gateway', 'push prospect-events', 'producer'],
];
const SUBSCRIPTION = 'messaging.destination.subscription.name';

/** The step's span of the trace. */
const find = (spans, [service, name, kind, subscription]) => spans.find((span) => span.service === service && span.name === name &&
  span.kind === KINDS[kind] && (!subscription || span.attributes[SUBSCRIPTION] === subscription));

test('one command, one connected trace', async () => {
  const socket = await EventSocket.subscribe(it.demo, { id: 1 });
  const reply = await it.demo.post('/api/prospects', { firstName: 'Ada', lastName: 'Lovelace', email: 'ada@example.org' }, { traceparent: `00-${TRACE}-${PARENT}-01` });
  assert.equal(reply.status, 202);
  const event = await socket.event((one) => one.causationId === reply.json.commandId);
  const spans = await eventually('all steps', () => {
    const found = WAY.map((step) => find(it.collector.ofTrace(TRACE), step));
    return found.every(Boolean) && found;
  });
  const [server, enqueue, handled] = spans;
  assert.equal(server.parentSpanId, PARENT);
  assert.equal(enqueue.parentSpanId, server.spanId);
  assert.equal(event.traceparent, `00-${TRACE}-${enqueue.spanId}-01`, 'the command started the rest, and no hop overwrote it');
  const all = new Map(it.collector.ofTrace(TRACE).map((span) => [span.spanId, span]));
  for (const span of all.values()) {
    assert.ok(span === server || all.has(span.parentSpanId), `${span.service} ${span.name} has a parent in the trace`);
    assert.ok(span.end >= span.start && span.status === 0);
  }
  assert.equal(spans[3].parentSpanId, handled.spanId, 'the commit belongs to what it made durable');
  for (const step of [handled, ...spans.slice(4, 8), spans[9]]) assert.equal(step.parentSpanId, enqueue.spanId, step.name);
  assert.equal(handled.attributes['messaging.message.id'], reply.json.commandId);
  assert.equal(handled.attributes['events.command_type'], 'CreateProspect');
  assert.equal(server.attributes['http.route'], '/api/prospects');
  assert.equal(server.attributes['http.response.status_code'], 202);
  const applied = spans[7].attributes;
  assert.deepEqual([applied['messaging.message.id'], applied['cloudevents.event_type'], applied['cloudevents.event_subject']], [event.eventId, 'ProspectCreated', event.subject]);
  socket.close();
});

test('who is not sampled is not recorded, but his trace goes on', async () => {
  const quiet = TRACE.replace(/^4/, '5');
  const socket = await EventSocket.subscribe(it.demo, { id: 1 });
  const send = async (email, headers) => {
    const { json } = await it.demo.post('/api/prospects', { firstName: 'Grace', lastName: 'Hopper', email }, headers);
    return (await socket.event((one) => one.causationId === json.commandId)).traceparent;
  };
  assert.equal(await send('grace@example.org', { traceparent: `00-${quiet}-${PARENT}-00` }), `00-${quiet}-${PARENT}-00`);
  assert.match(await send('hopper@example.org', {}), /^00-[0-9a-f]{32}-[0-9a-f]{16}-02$/, 'begun here, by a ratio of 0');
  assert.ok((await send('g.hopper@example.org', { traceparent: `00-${TRACE}-${PARENT}-01` })).endsWith('-01'));
  await eventually('the sampled one after them', () => it.collector.ofTrace(TRACE).filter((span) => span.name.startsWith('push')).length >= 2);
  assert.deepEqual([...new Set(it.collector.spans().map((span) => span.traceId))], [TRACE]);
  socket.close();
});

test('a call of gRPC is traced like a POST', async () => {
  const trace = TRACE.replace(/^4/, '6');
  const commands = grpcClient('events.v1.ProspectCommands', new URL(it.installation.plainUrl).host);
  const { reply, error } = await unary(commands, 'createProspect', { command: { firstName: 'Ada', lastName: 'Call', email: 'call@example.org' }, wait: true },
    { ...it.demo.authorization, traceparent: `00-${trace}-${PARENT}-01` });
  assert.equal(error, null, error?.message);
  const way = [['events-gateway', 'events.v1.ProspectCommands/CreateProspect', 'server'], ...WAY.slice(1, -1)]; // nobody is subscribed
  const [server, enqueue, handled, ...rest] = await eventually('all steps', () => {
    const found = way.map((step) => find(it.collector.ofTrace(trace), step));
    return found.every(Boolean) && found;
  });
  assert.deepEqual([server.parentSpanId, enqueue.parentSpanId, handled.parentSpanId], [PARENT, server.spanId, enqueue.spanId]);
  for (const step of rest.filter(({ name }) => name !== 'COMMIT')) assert.equal(step.parentSpanId, enqueue.spanId, step.name);
  assert.equal(handled.attributes['messaging.message.id'], reply.commandId);
  const { 'rpc.system': system, 'rpc.service': service, 'rpc.method': method, 'rpc.grpc.status_code': code } = server.attributes;
  assert.deepEqual([system, service, method, Number(code)], ['grpc', 'events.v1.ProspectCommands', 'CreateProspect', 0]);
  const refused = await unary(commands, 'createProspect', { command: {} }, { ...it.demo.authorization, traceparent: `00-${trace}-${PARENT}-01` });
  assert.equal(refused.error.code, grpc.status.INVALID_ARGUMENT);
  await eventually('the refused one', () => it.collector.ofTrace(trace).some((span) => Number(span.attributes['rpc.grpc.status_code']) === 3));
  commands.close();
});

test('requests go where the settings say, and name their program', () => {
  for (const { path, headers } of it.collector.requests)
    assert.deepEqual([path, headers['content-type'], headers['x-key'], headers['x-other']], ['/prefix/v1/traces', 'application/x-protobuf', 'a=b', 'two']);
  const shown = execFileSync(path.join(BUILD, 'events-relay'), ['--print-config'], { env: it.installation.env }).toString();
  assert.match(shown, /^OTEL_EXPORTER_OTLP_HEADERS=\(secret\)$/m);
  for (const resource of it.collector.resources) assert.equal(resource['deployment.environment.name'], 'test one');
});
