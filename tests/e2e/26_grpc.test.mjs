// gRPC as its users have it: @grpc/grpc-js and Debian's Python client, on the same port as everything else.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Client } from './kit/client.mjs';
import { Installation, ROOT } from './kit/installation.mjs';
import { details, grpc, grpcClient, message, metadata, unary } from './kit/rpc.mjs';
import * as token from './kit/token.mjs';
import { eventually, SLOW } from './kit/wait.mjs';

const { status: STATUS } = grpc;
const LIMIT = { timeout: 30000 * SLOW };
const it = {};
let n = 0;
const person = (more = {}) => ({ firstName: 'Ada', lastName: 'Lovelace', email: `grpc-${++n}@example.org`, ...more });

before(async () => {
  it.installation = await Installation.start();
  it.demo = await Client.demo(it.installation);
  it.address = new URL(it.installation.plainUrl).host;
  it.token = it.demo.authorization;
  it.commands = grpcClient('events.v1.ProspectCommands', it.address);
  it.queries = grpcClient('events.v1.ProspectQueries', it.address);
  it.stream = grpcClient('events.v1.EventStream', it.address);
  it.health = grpcClient('grpc.health.v1.Health', it.address);
  for (const [name, scopes] of [['reader', 'prospects:read'], ['writer', 'prospects:write']]) {
    const made = await it.installation.ctlWith({ input: `${name}-password` }, 'user', 'add', name, '--tenant', 'demo', '--scopes', scopes, '--password-stdin');
    assert.equal(made.code, 0, made.stderr);
    it[name] = (await new Client(it.installation.plainUrl, { username: name, password: `${name}-password` }).login()).authorization;
  }
});
after(() => it.installation?.stop());

const create = (command, more = {}, fields = it.token, options = {}) =>
  unary(it.commands, 'createProspect', { command, ...more }, fields, options);
const idOf = (outcome) => BigInt(outcome.subject.split('/')[1]);

async function added(command = person()) {
  const { error, reply } = await create(command, { wait: true });
  assert.equal(error, null, error?.message);
  return { ...command, id: idOf(reply), reply };
}

function assertFails({ error, reply }, code, message = /./) {
  assert.equal(reply, undefined);
  assert.equal(error?.code, code, error?.message);
  assert.match(error.details, message);
  return details(error);
}

test('a command without wait is pending, with its ids, and found from then on', LIMIT, async () => {
  const { reply, head } = await create(person(), {}, { ...it.token, 'x-correlation-id': 'my-own' });
  assert.equal(reply.status, 1);
  assert.match(reply.commandId, /^[0-9a-f-]{36}$/);
  assert.equal(reply.correlationId, 'my-own');
  assert.equal(head['x-correlation-id'], 'my-own');
  assert.equal((await it.demo.outcome(reply.commandId)).status, 'succeeded');
});

test('with wait the answer is the outcome, and reads show it', LIMIT, async () => {
  for (let i = 0; i < 20; i++) {
    const command = person({ phone: '+44 20 7946 0958' });
    const { reply } = await create(command, { wait: true });
    assert.equal(reply.status, 2);
    assert.ok(reply.eventId && reply.correlationId && reply.commandId);
    const { reply: read, head } = await unary(it.queries, 'getProspect', { prospectId: idOf(reply) }, it.token);
    assert.equal(read.email, command.email);
    assert.equal(read.version, 1n);
    assert.ok(Number(head['x-events-position']) > 0 && head['x-events-epoch']);
  }
});

test('a hundred wait at once, each gets its own', LIMIT, async () => {
  const commands = Array.from({ length: 100 }, () => person());
  const outcomes = await Promise.all(commands.map((command) => create(command, { wait: true })));
  assert.deepEqual(outcomes.map((o) => o.error).filter(Boolean), []);
  assert.equal(new Set(outcomes.map((o) => o.reply.subject)).size, 100);
});

test('rejections are statuses with their reasons', LIMIT, async () => {
  const one = await added();
  const update = (more) => unary(it.commands, 'updateProspect', { command: { ...person(), prospectId: one.id, expectedVersion: 1n, ...more }, wait: true }, it.token);
  const duplicate = assertFails(await create({ ...one, $typeName: undefined, email: one.email.toUpperCase() }, { wait: true }), STATUS.ALREADY_EXISTS);
  assert.deepEqual(duplicate[0].violations.map((v) => [v.field, v.reason]), [['email', 'duplicate_email']]);
  const [, info] = duplicate;
  assert.deepEqual([info.type, info.reason, info.domain], ['ErrorInfo', 'duplicate_email', 'events']);
  assert.equal((await it.demo.outcome(info.metadata.commandId)).code, 'duplicate_email');
  assert.equal((await update({})).reply.status, 2);
  assert.equal(assertFails(await update({}), STATUS.ABORTED).at(-1).reason, 'version_conflict');
  assert.equal(assertFails(await update({ prospectId: 999999n }), STATUS.NOT_FOUND).at(-1).reason, 'not_found');
});

test('what breaks the rules of its fields is told at once, all of it', LIMIT, async () => {
  const [bad, info] = assertFails(await create({ firstName: ' ', lastName: 'x'.repeat(101), email: 'nobody' }), STATUS.INVALID_ARGUMENT);
  assert.deepEqual(bad.violations.map((v) => [v.field, v.reason]),
    [['firstName', 'required'], ['lastName', 'too_long'], ['email', 'invalid_email']]);
  assert.ok(bad.violations.every((v) => v.description));
  assert.equal(info.reason, 'invalid');
  assert.equal(assertFails(await create(undefined), STATUS.INVALID_ARGUMENT)[0].violations.length, 3, 'no command at all');
});

test('every command can be called: by its own call, and by name', LIMIT, async () => {
  const [stays, goes] = [await added(), await added()];
  const merged = await unary(it.commands, 'mergeProspects', { command: { prospectId: stays.id, mergedProspectId: goes.id, expectedVersion: 1n }, wait: true }, it.token);
  assert.equal(merged.error, null, merged.error?.message);
  assert.equal(merged.reply.subject, `prospect/${stays.id}`);
  assertFails(await unary(it.queries, 'getProspect', { prospectId: goes.id }, it.token), STATUS.NOT_FOUND);
  const any = grpcClient('events.v1.Commands', it.address);
  const { create: make, toBinary } = await import('@bufbuild/protobuf');
  const type = message('events.v1.CreateProspect');
  const command = toBinary(type, make(type, person()));
  assert.equal((await unary(any, 'send', { commandType: 'CreateProspect', command, wait: true }, it.token)).reply.status, 2);
  assertFails(await unary(any, 'send', { commandType: 'ProspectCreated', command }, it.token), STATUS.NOT_FOUND);
  assertFails(await unary(any, 'send', { commandType: 'CreateProspect', command: Buffer.from([0xff]) }, it.token), STATUS.INVALID_ARGUMENT);
});

test('the same command id: the same outcome, one effect; another body is refused', LIMIT, async () => {
  const command = person({ commandId: randomUUID() });
  const [first, second] = await Promise.all([create(command, { wait: true }), create(command, { wait: true })]);
  assert.deepEqual(first.reply, second.reply);
  assert.deepEqual((await create(command, { wait: true })).reply, first.reply);
  assertFails(await create({ ...command, firstName: 'Grace' }, { wait: true }), STATUS.FAILED_PRECONDITION);
  const keyed = { ...it.token, 'idempotency-key': randomUUID() };
  const again = person();
  assert.equal((await create(again, {}, keyed)).reply.commandId, (await create(again, {}, keyed)).reply.commandId);
});

test('a wait that the deadline cuts, or the caller, leaves the command accepted', LIMIT, async () => {
  await it.installation.kill('prospects');
  const begun = Date.now();
  const cut = await create(person(), { wait: true }, it.token, { deadline: Date.now() + 300 });
  assert.equal(cut.error.code, STATUS.DEADLINE_EXCEEDED);
  assert.ok(Date.now() - begun < 2000 * SLOW);
  const own = randomUUID();
  const call = it.commands.createProspect({ command: person({ commandId: own }), wait: true }, metadata(it.token), () => {});
  await eventually('the command to be accepted', async () => (await it.demo.get(`/api/commands/${own}`)).status === 200);
  call.cancel();
  const waits = create(person(), { wait: true });
  await it.installation.run('prospects');
  assert.equal((await it.demo.outcome(own)).status, 'succeeded');
  assert.equal((await waits).reply.status, 2);
  assertFails(await create(person(), {}, it.token, { deadline: Date.now() - 1 }), STATUS.DEADLINE_EXCEEDED);
});

test('pages: limits, cursors, where the stream goes on, and waiting for a position', LIMIT, async () => {
  const list = (request, fields = it.token) => unary(it.queries, 'listProspects', request, fields);
  const all = [];
  for (let cursor = ''; ;) {
    const { reply } = await list({ limit: 40, cursor, sort: 'createdAt' });
    all.push(...reply.items);
    if (!(cursor = reply.nextCursor)) break;
  }
  assert.equal(new Set(all.map((p) => p.prospectId)).size, all.length);
  const { reply, head } = await list({});
  assert.equal(reply.items.length, 50);
  assert.equal(String(reply.position), head['x-events-position']);
  assert.equal(reply.epoch, head['x-events-epoch']);
  for (const [request, field] of [[{ limit: 201 }, 'limit'], [{ limit: -1 }, 'limit'], [{ sort: 'shoe' }, 'sort'], [{ cursor: 'x' }, 'cursor']])
    assert.equal(assertFails(await list(request), STATUS.INVALID_ARGUMENT)[0].violations[0].field, field);
  const { reply: accepted } = await create(person());
  await it.demo.outcome(accepted.commandId);
  const fresh = await list({ limit: 1 }, { ...it.token, 'x-events-min-position': String(reply.position + 1n) });
  assert.ok(fresh.reply.position > reply.position);
  assertFails(await list({}, { ...it.token, 'x-events-min-position': 'soon' }), STATUS.INVALID_ARGUMENT);
  const late = await unary(it.queries, 'listProspects', {}, { ...it.token, 'x-events-min-position': '99999999' }, { deadline: Date.now() + 200 });
  assert.equal(late.error.code, STATUS.DEADLINE_EXCEEDED);
});

test('tokens and scopes', LIMIT, async () => {
  const one = await added();
  const get = (fields) => unary(it.queries, 'getProspect', { prospectId: one.id }, fields);
  assertFails(await get({}), STATUS.UNAUTHENTICATED);
  assertFails(await get({ authorization: 'Bearer nonsense' }), STATUS.UNAUTHENTICATED);
  assertFails(await get(it.writer), STATUS.PERMISSION_DENIED);
  assertFails(await create(person(), {}, it.reader), STATUS.PERMISSION_DENIED);
  const masked = (await get(it.reader)).reply;
  assert.deepEqual([masked.firstName, masked.email, masked.version], ['', '', 1n], 'without prospects:pii');
  for (const request of [{ query: 'ada' }, { sort: 'email' }])
    assertFails(await unary(it.queries, 'listProspects', request, it.reader), STATUS.PERMISSION_DENIED);
  assertFails(await unary(it.queries, 'getProspect', { prospectId: 0n }, it.token), STATUS.INVALID_ARGUMENT);
});

/** A stream that remembers. */
function subscribe(subscription, fields = it.token, options = {}) {
  const frames = [], events = [];
  const call = it.stream.subscribe(subscription ? { subscribe: subscription } : {}, metadata(fields), options);
  call.on('data', ({ frame }) => {
    frames.push(frame);
    if (frame.case === 'events') events.push(...frame.value.events);
  });
  call.on('error', () => {});
  const ended = new Promise((done) => call.on('status', done));
  return { call, frames, events, ended, frame: (kind, fits = () => true) => eventually(`a frame ${kind}`, () => frames.find((f) => f.case === kind && fits(f.value)), 10000, 5) };
}

test('Subscribe: history, then live, with the same frames, filters and rules as the WebSocket', LIMIT, async () => {
  const one = await added();
  const whole = subscribe({ id: 7, resume: { case: 'after', value: 0n } });
  const own = subscribe({ subjects: [`prospect/${one.id}`], eventTypes: ['ProspectUpdated'] });
  const masked = subscribe({}, it.reader);
  const welcome = (await own.frame('welcome')).value;
  assert.ok(welcome.connectionId && welcome.epoch && welcome.heartbeatSeconds === 20);
  await own.frame('subscribed', (s) => s.caughtUp);
  await masked.frame('subscribed', (s) => s.caughtUp);
  await whole.frame('subscribed', (s) => s.id === 7 && s.caughtUp);
  assert.ok(whole.events.some((e) => e.subject === `prospect/${one.id}`));
  const change = { ...person(), prospectId: one.id, expectedVersion: 1n };
  await unary(it.commands, 'updateProspect', { command: change, wait: true }, it.token);
  assertFails(await unary(it.commands, 'updateProspect', { command: change, wait: true }, it.token), STATUS.ABORTED);
  const rejected = (events) => eventually('the rejection', () => events.find((e) => e.eventType === 'CommandRejected'), 10000, 5);
  await rejected(whole.events.slice().reverse());
  await rejected(own.events);
  assert.deepEqual(own.events.map((e) => e.eventType), ['ProspectUpdated', 'CommandRejected']);
  assert.equal(fromBinary(message('events.v1.ProspectUpdated'), own.events[0].data).email, change.email);
  const seen = await eventually('the masked event', () => masked.events.find((e) => e.eventType === 'ProspectUpdated'), 10000, 5);
  assert.equal(fromBinary(message('events.v1.ProspectUpdated'), seen.data).email, '');
  const numbers = whole.events.map((e) => e.sequence);
  assert.deepEqual(numbers, numbers.toSorted((a, b) => Number(a - b)));
  assert.deepEqual(numbers, [...new Set(numbers)]);
  for (const s of [whole, own, masked]) s.call.cancel();
});

test('Subscribe: who does not read for a while misses nothing, and nobody waits for him', LIMIT, async () => {
  const slow = subscribe(), quick = subscribe();
  for (const s of [slow, quick]) await s.frame('subscribed', ({ caughtUp }) => caughtUp);
  slow.call.pause();
  const notes = '一'.repeat(4000); // 12 kB: together more than may wait for a reader
  const posts = await Promise.all(Array.from({ length: 200 }, () => it.demo.post('/api/prospects', { ...person(), notes })));
  const wanted = posts.map(({ json }) => json.commandId);
  const own = ({ events }) => events.filter((e) => wanted.includes(e.causationId));
  await eventually('the quick one has all', () => own(quick).length === wanted.length, 20000);
  assert.ok(own(slow).length < wanted.length, `${own(slow).length} were read`);
  slow.call.resume();
  await eventually('the slow one has all', () => own(slow).length >= wanted.length, 20000);
  assert.deepEqual(own(slow).map((e) => e.sequence), own(quick).map((e) => e.sequence));
  for (const s of [slow, quick]) s.call.cancel();
});

test('Subscribe: what is refused, what has to be read anew, what ends', LIMIT, async () => {
  assert.equal((await subscribe({}, {}).ended).code, STATUS.UNAUTHENTICATED);
  const wrong = await subscribe({ subjects: ['nonsense'] }).ended;
  assert.equal(wrong.code, STATUS.INVALID_ARGUMENT);
  assert.equal((await subscribe({ subjects: Array(257).fill('prospect/1') }).ended).code, STATUS.INVALID_ARGUMENT);
  assert.equal((await subscribe({ eventTypes: ['ProspectCreated'] }, it.writer).ended).code, STATUS.PERMISSION_DENIED);
  const other = subscribe({ resume: { case: 'after', value: 1n }, epoch: 'of another log' });
  assert.equal((await other.frame('resyncRequired')).value.reason, 'epoch');
  assert.equal((await other.ended).code, STATUS.OK);
  assert.equal((await subscribe({}, it.token, { deadline: Date.now() + 300 }).ended).code, STATUS.DEADLINE_EXCEEDED);
  const { claims, header } = token.parse(it.demo.token);
  const { key } = token.signingKey(it.installation);
  const short = token.mint(header, { ...claims, exp: Math.ceil(Date.now() / 1000) + 1 }, key);
  const expired = subscribe(undefined, { authorization: `Bearer ${short}` });
  assert.equal((await expired.ended).code, STATUS.UNAUTHENTICATED);
  assert.equal(expired.frames[0].case, 'welcome', 'it had begun');
});

test('health: each service, the list, and watching', LIMIT, async () => {
  assert.equal((await unary(it.health, 'check', {})).reply.status, 1);
  assert.equal((await unary(it.health, 'check', { service: 'events.v1.EventStream' })).reply.status, 1);
  assertFails(await unary(it.health, 'check', { service: 'events.v1.Nothing' }), STATUS.NOT_FOUND);
  const { statuses } = (await unary(it.health, 'list', {})).reply;
  assert.deepEqual([statuses[''].status, statuses['events.v1.ProspectQueries'].status], [1, 1]);
  const nobody = it.health.watch({ service: 'events.v1.Nothing' });
  nobody.on('error', () => {});
  const [first] = await new Promise((done) => nobody.on('data', (...args) => done(args)));
  assert.equal(first.status, 3, 'SERVICE_UNKNOWN, and the stream stays open');
  nobody.cancel();
});

test('reflection, v1 and v1alpha: a stranger learns the services and their messages', LIMIT, async () => {
  for (const version of ['v1', 'v1alpha']) {
    const call = grpcClient(`grpc.reflection.${version}.ServerReflection`, it.address).serverReflectionInfo();
    const answers = [];
    call.on('data', (answer) => answers.push(answer.messageResponse));
    const ended = new Promise((done) => call.on('status', done));
    const ask = async (kind, value) => {
      const count = answers.length;
      call.write({ messageRequest: { case: kind, value } });
      return (await eventually('an answer', () => answers[count], 5000, 2));
    };
    const names = (await ask('listServices', '*')).value.service.map((s) => s.name);
    for (const name of ['events.v1.ProspectCommands', 'grpc.health.v1.Health', `grpc.reflection.${version}.ServerReflection`]) assert.ok(names.includes(name), name);
    const files = (await ask('fileContainingSymbol', 'events.v1.ProspectCommands.CreateProspect')).value.fileDescriptorProto
      .map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
    assert.equal(files[0].name, 'events/v1/services.proto');
    const known = new Set(files.map((f) => f.name));
    for (const f of files) for (const needed of f.dependency) assert.ok(known.has(needed), `${f.name} needs ${needed}`);
    assert.equal((await ask('fileByFilename', 'grpc/health/v1/health.proto')).case, 'fileDescriptorResponse');
    assert.deepEqual((await ask('allExtensionNumbersOfType', 'google.protobuf.MethodOptions')).value.extensionNumber, [51000]);
    assert.equal((await ask('fileContainingExtension', { containingType: 'google.protobuf.MethodOptions', extensionNumber: 51000 })).case, 'fileDescriptorResponse');
    for (const [kind, value] of [['fileByFilename', 'etc/passwd'], ['fileContainingSymbol', 'events.v1.Nothing']])
      assert.equal((await ask(kind, value)).value.errorCode, STATUS.NOT_FOUND);
    call.end();
    assert.equal((await ended).code, STATUS.OK);
  }
});

test('gzip both ways, and over TLS', LIMIT, async () => {
  const ca = readFileSync(path.join(it.installation.home, 'tls.crt'));
  const secure = grpcClient('events.v1.ProspectQueries', new URL(it.installation.url).host, grpc.credentials.createSsl(ca),
    { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip });
  assert.ok((await unary(secure, 'listProspects', { limit: 200 }, it.token)).reply.items.length > 50);
  secure.close();
  const zipped = grpcClient('events.v1.ProspectCommands', it.address, undefined, { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip });
  assert.equal((await unary(zipped, 'createProspect', { command: person({ notes: 'x'.repeat(3000) }), wait: true }, it.token)).reply.status, 2);
  zipped.close();
});

test("Debian's Python client: a call, a refusal, a stream", LIMIT, async () => {
  const outcome = await new Promise((done) => execFile('/usr/bin/python3', [path.join(ROOT, 'tests/e2e/kit/grpc_client.py'), it.address, it.demo.token],
    (error, stdout, stderr) => done({ error, stdout, stderr })));
  assert.equal(outcome.error, null, outcome.stderr);
  const said = JSON.parse(outcome.stdout);
  assert.deepEqual(said, { health: 1, refused: 'UNAUTHENTICATED', unknown: 'UNIMPLEMENTED', listed: true, frames: ['welcome', 'subscribed'] });
});

test('at the end streams are told, watchers too', LIMIT, async () => {
  const s = subscribe({});
  await s.frame('subscribed');
  const states = [];
  const watch = it.health.watch({});
  watch.on('data', (r) => states.push(r.status));
  watch.on('error', () => {});
  const watched = new Promise((done) => watch.on('status', done));
  await eventually('the first state', () => states.length);
  const gateway = it.installation.children.get('gateway');
  gateway.kill('SIGTERM');
  assert.equal((await s.ended).code, STATUS.UNAVAILABLE);
  assert.equal((await s.frame('reconnect')).value.reason, 'shutdown');
  assert.equal((await watched).code, STATUS.UNAVAILABLE);
  assert.deepEqual(states, [1, 2]);
  assert.equal((await gateway.exited).code, 0);
});
