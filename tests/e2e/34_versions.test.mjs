// Two versions side by side, in the order in which programs are rolled out (proto/README.md). What runs here is the
// present version; the newer and the older neighbour are played by what they would have written: rows of the outbox
// (a newer events-prospects) and CloudEvents at the topic (a newer or an older events-relay).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { call, Client } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { decode, define, encode, fieldsOf } from './kit/protobuf.mjs';
import { eventually } from './kit/wait.mjs';
import { EventSocket } from './kit/websocket.mjs';

// Version 1.1, which our programs do not know: an optional field more in two events, and an event of a new type.
define('ProspectCreated 1.1', { ...fieldsOf('ProspectCreated'), 8: ['nickname', 'string'], 1000: ['score', 'int'] });
define('ProspectUpdated 1.1', { ...fieldsOf('ProspectUpdated'), 9: ['nickname', 'string'], 1000: ['score', 'int'] });
define('ProspectTagged', { 1: ['prospectId', 'int'], 2: ['tag', 'string'] });
define('EventPage', { 1: ['items', 'Envelope', true], 2: ['nextCursor', 'string'] });

const it = {};
const ID = 900001;
const SUBJECT = `prospect/${ID}`;
const person = (more) => ({ prospectId: ID, firstName: 'Augusta', lastName: 'King', email: 'augusta@example.org', phone: '+44 20 7946 0000', notes: 'späť', ...more });
const BORN = person({ version: 1, nickname: 'Ada', score: 1815 });
const TAG = { prospectId: ID, tag: 'vip' };
const CHANGED = person({ version: 3, lastName: 'Lovelace', changedFields: ['lastName'], nickname: 'Enchantress', score: 1852 });
const unknownOf = ({ nickname, score }, number) => {
  define('unknown', { [number]: ['nickname', 'string'], 1000: ['score', 'int'] });
  return encode('unknown', { nickname, score }).toString('base64');
};

const sqlite = (file, sql) => execFileSync('sqlite3', ['-cmd', '.timeout 10000', path.join(it.installation.home, 'db', file), sql]).toString().trim();

/** What a newer events-prospects leaves in its outbox. */
function leaveInOutbox(rows) {
  const quoted = (text) => `'${text.replaceAll("'", "''")}'`;
  const values = rows.map(({ eventType, schemaVersion, subjectVersion, data }) => {
    const envelope = {
      eventId: randomUUID(), eventType, schemaVersion, occurredAt: { seconds: Math.floor(Date.now() / 1000) }, producer: 'ProspectService',
      correlationId: 'versions', causationId: randomUUID(), subject: SUBJECT, data, tenantId: 'demo', subjectVersion, issuedBy: 'someone',
    };
    return `(${quoted(envelope.eventId)}, 'demo', ${quoted(SUBJECT)}, ${subjectVersion}, x'${encode('Envelope', envelope).toString('hex')}', ${Date.now() * 1000})`;
  });
  sqlite('write.db', `INSERT INTO outbox (event_id, tenant_id, subject, subject_version, body, created_at) VALUES ${values.join(', ')}`);
}

async function metric(program, name) {
  const { body } = await call(`http://${it.installation.admin[program]}/metrics`);
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(body.toString())?.[1]);
}

const ofSubject = (socket, subject = SUBJECT) => socket.events.filter((event) => event.subject === subject);
const decodedAs = (name, event) => decode(name, event.data);

before(async () => {
  it.installation = await Installation.start();
  it.demo = await Client.demo(it.installation);
  it.live = await EventSocket.subscribe(it.demo);
  leaveInOutbox([
    { eventType: 'ProspectCreated', schemaVersion: '1.1', subjectVersion: 1, data: encode('ProspectCreated 1.1', BORN) },
    { eventType: 'ProspectTagged', schemaVersion: '1.0', subjectVersion: 2, data: encode('ProspectTagged', TAG) },
    { eventType: 'ProspectUpdated', schemaVersion: '1.1', subjectVersion: 3, data: encode('ProspectUpdated 1.1', CHANGED) },
  ]);
  await it.demo.create({ firstName: 'Grace', lastName: 'Hopper', email: 'grace@example.org' }); // rings the relay
});
after(() => it.installation?.stop());

/** The three events, as any subscriber must get them. */
function assertUnharmed(events) {
  assert.deepEqual(events.map((e) => [e.eventType, e.schemaVersion, e.subjectVersion]),
    [['ProspectCreated', '1.1', 1], ['ProspectTagged', '1.0', 2], ['ProspectUpdated', '1.1', 3]]);
  const [born, tagged, changed] = events;
  const { nickname, score, ...ofOneZero } = BORN;
  assert.deepEqual(decodedAs('ProspectCreated', born), ofOneZero, 'a client of version 1.0 sees what it knows');
  assert.deepEqual(decodedAs('ProspectCreated 1.1', born), BORN, 'a client of version 1.1 sees all of it');
  assert.deepEqual(decodedAs('ProspectTagged', tagged), TAG);
  assert.deepEqual(decodedAs('ProspectUpdated 1.1', changed), CHANGED);
}

test('events of a newer version reach the subscribers with every value, in the order of their subject', async () => {
  const last = await it.live.event((e) => e.subject === SUBJECT && e.subjectVersion === 3);
  it.held = { 'x-events-min-position': String(last.sequence) };
  assertUnharmed(ofSubject(it.live));
});

test('... by resume from the replay log', async () => {
  const socket = await EventSocket.subscribe(it.demo, { after: 0 });
  assertUnharmed(ofSubject(socket));
  socket.close();
  const one = await EventSocket.subscribe(it.demo, { after: 0, eventTypes: ['ProspectTagged'], subjects: [SUBJECT] });
  assert.deepEqual(one.events.map((e) => e.eventType), ['ProspectTagged'], 'a type that nobody knows can be subscribed to');
  one.close();
});

test('... by the history, in protobuf and in JSON', async () => {
  const url = `/api/prospects/${ID}/history`;
  const binary = await it.demo.get(url, { accept: 'application/x-protobuf', ...it.held });
  assertUnharmed(decode('EventPage', binary.body).items.reverse());
  const [changed, tagged, born] = (await it.demo.get(url, it.held)).json.items;
  assert.equal(born.data.nickname, undefined);
  assert.equal(born.data.$unknown, unknownOf(BORN, 8));
  assert.deepEqual(tagged.data, { $unknown: encode('ProspectTagged', TAG).toString('base64') });
  assert.equal(changed.data.$unknown, unknownOf(CHANGED, 9));
});

test('... as CloudEvents, where the unknown fields travel inside data', async () => {
  const events = (await it.demo.get('/api/events?after=0', it.held)).json.filter((e) => e.subject === SUBJECT);
  assert.deepEqual(events.map((e) => [e.type, e.schemaversion]), [['ProspectCreated', '1.1'], ['ProspectTagged', '1.0'], ['ProspectUpdated', '1.1']]);
  const { nickname, score, ...known } = BORN;
  assert.deepEqual(events[0].data, { ...known, $unknown: unknownOf(BORN, 8) });
  assert.deepEqual(events[1].data, { $unknown: encode('ProspectTagged', TAG).toString('base64') });
});

test('the read model follows what it knows, and nothing went to the dead letters', async () => {
  const { status, json } = await it.demo.get(`/api/prospects/${ID}`, it.held);
  assert.equal(status, 200);
  assert.deepEqual([json.lastName, json.version], ['Lovelace', 3]);
  await eventually('the projection has counted', async () => (await metric('projection', 'events_projection_unknown_type_total')) === 1);
  assert.equal(await metric('projection', 'events_projection_dead_total'), 0);
  assert.equal(sqlite('read.db', 'SELECT count(*) FROM event_dead_letter'), '0');
  const log = () => readFileSync(path.join(it.installation.home, 'logs/projection.log'), 'utf8');
  await eventually('a line of the log', () => /"events of a newer version".*"firstType":"ProspectTagged"/.test(log()));
});

test('who may not see personal data gets no field that nobody can judge', async () => {
  const { code, stderr } = await it.installation.ctlWith({ input: 'reader-password\n' }, 'user', 'add', 'reader', '--tenant', 'demo', '--scopes', 'prospects:read', '--password-stdin');
  assert.equal(code, 0, stderr);
  const reader = await new Client(it.installation.plainUrl, { username: 'reader', password: 'reader-password' }).login();
  const socket = await EventSocket.subscribe(reader, { after: 0 });
  const [born, tagged, changed] = ofSubject(socket);
  assert.deepEqual(decodedAs('ProspectCreated 1.1', born), { prospectId: ID, firstName: '', lastName: '', email: '', phone: '', notes: '', version: 1, nickname: '', score: 0 });
  assert.equal(tagged.data?.length ?? 0, 0);
  assert.equal(decodedAs('ProspectUpdated 1.1', changed).nickname, '');
  socket.close();
});

test('commands stay strict, in JSON and in protobuf', async () => {
  const body = { firstName: 'Ada', lastName: 'Lovelace', email: 'strict@example.org' };
  const json = await it.demo.post('/api/prospects', { ...body, nickname: 'Ada' });
  assert.equal(json.status, 400);
  assert.deepEqual(json.json.errors.map((e) => [e.field, e.code]), [['nickname', 'unknown_field']]);
  define('CreateProspect 1.1', { 2: ['firstName', 'string'], 3: ['lastName', 'string'], 4: ['email', 'string'], 7: ['nickname', 'string'] });
  const binary = await it.demo.post('/api/commands/CreateProspect', encode('CreateProspect 1.1', { ...body, nickname: 'Ada' }), { 'content-type': 'application/x-protobuf' });
  assert.equal(binary.status, 400);
  assert.deepEqual(binary.json.errors.map((e) => e.code), ['unknown_field']);
});

// From here on the relay is gone, and this test publishes in its place, under the next numbers.
test('a relay of another version', async (t) => {
  const relay = it.installation.children.get('relay');
  relay.kill('SIGTERM');
  assert.equal((await relay.exited).code, 0);
  const { headers } = await it.demo.get('/api/events?after=0&limit=1000');
  let sequence = Number(headers['x-events-position']);
  const key = readFileSync(path.join(it.installation.home, 'secrets/grid-key'), 'utf8').trim();
  const subject = 'prospect/900002';

  const publish = async (type, version, data) => {
    const event = {
      specversion: '1.0', id: randomUUID(), source: '/services/ProspectService', type, subject, time: new Date().toISOString(), datacontenttype: 'application/json',
      schemaversion: '1.1', tenantid: 'demo', sequence: String(++sequence).padStart(19, '0'), watermark: String(sequence).padStart(19, '0'), subjectversion: String(version), data,
      laterextension: 'x',
    };
    const reply = await call(`http://${it.installation.env.EVENTS_GRID_LISTEN_PLAIN}/api/events?api-version=2018-01-01`, {
      method: 'POST', headers: { 'content-type': 'application/cloudevents-batch+json', 'aeg-sas-key': key }, body: JSON.stringify([event]),
    });
    assert.equal(reply.status, 200, String(reply.body));
    return it.live.event((e) => e.eventId === event.id);
  };

  const known = { prospectId: 900002, firstName: 'Mary', lastName: 'Somerville', email: 'mary@example.org', phone: '', notes: '' };

  await t.test('newer than projection and gateway: members that they do not know are counted and passed over', async () => {
    const event = await publish('ProspectCreated', 1, { ...known, version: 1, nickname: 'Mary', address: { city: ['Jedburgh'] } });
    assert.deepEqual(decodedAs('ProspectCreated', event), { ...known, version: 1 });
    await publish('ProspectTagged', 2, { prospectId: 900002, tag: 'vip' });
    for (const program of ['gateway', 'projection'])
      await eventually(`${program} has counted`, async () => await metric(program, `events_${program}_unknown_members_total`) >= 4);
  });

  await t.test('older than projection and gateway: what it does not know is put back where they know it', async () => {
    const changedFields = encode('ProspectUpdated', { changedFields: ['lastName', 'phone'] });
    const event = await publish('ProspectUpdated', 3, { ...known, version: 3, $unknown: changedFields.toString('base64') });
    assert.deepEqual(decodedAs('ProspectUpdated', event), { ...known, version: 3, changedFields: ['lastName', 'phone'] });
    const all = await publish('ProspectUpdated', 4, { $unknown: encode('ProspectUpdated', { ...known, lastName: 'Fairfax', version: 4 }).toString('base64') });
    assert.equal(decodedAs('ProspectUpdated', all).lastName, 'Fairfax');
  });

  await t.test('either way every event is in the log, the read model has followed, and none is dead', async () => {
    const { json } = await it.demo.get('/api/prospects/900002', { 'x-events-min-position': String(sequence) });
    assert.deepEqual([json.lastName, json.version], ['Fairfax', 4]);
    const socket = await EventSocket.subscribe(it.demo, { after: 0 });
    assert.deepEqual(ofSubject(socket, subject).map((e) => e.subjectVersion), [1, 2, 3, 4]);
    assert.deepEqual(decodedAs('ProspectUpdated', ofSubject(socket, subject)[2]).changedFields, ['lastName', 'phone']);
    socket.close();
    assert.equal(await metric('projection', 'events_projection_dead_total'), 0);
    assert.equal(await metric('gateway', 'events_gateway_unreadable_total'), 0);
  });
});
