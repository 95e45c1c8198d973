// What could not be processed, in an operator's hands: what the topic refuses for good, what events-grid has given up,
// and a command that always fails are dead letters, which he shows, requeues or discards; a numbering that is lost is
// followed by a new epoch.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { Topic } from './kit/topic.mjs';
import { eventually } from './kit/wait.mjs';
import { EventSocket } from './kit/websocket.mjs';

const it = {};
before(async () => {
  it.topic = await Topic.start();
  it.installation = await Installation.start({ env: { EVENTS_GRID_ENDPOINT: it.topic.url } });
  it.topic.target = `http://${it.installation.env.EVENTS_GRID_LISTEN_PLAIN}`;
  it.demo = await Client.demo(it.installation);
});
after(async () => {
  it.topic?.stop();
  await it.installation?.stop();
});

const person = (name) => ({ firstName: 'Out', lastName: 'Box', email: `${name}@example.org` });
const emails = async () => (await it.demo.list()).map(({ email }) => email.split('@')[0]).sort();

async function ctl(...args) {
  const { code, stdout, stderr } = await it.installation.ctl(...args);
  assert.equal(code, 0, `eventsctl ${args.join(' ')}: ${stderr}`);
  return stdout.trim();
}
const lines = async (...args) => (await ctl(...args)).split('\n').filter(Boolean).map((line) => JSON.parse(line));
const letters = () => lines('dead-letters', 'list', '--json');
const status = async () => (await lines('outbox', 'status', '--json'))[0];

/** Posts them; the second one is refused by the topic. Resolves once the third, which is behind it, is there. */
async function refused(...names) {
  const posted = [];
  it.topic.refuses = `${names[1]}@example.org`;
  for (const name of names) posted.push((await it.demo.post('/api/prospects', person(name))).json.commandId);
  await it.demo.outcome(posted[2]);
  it.topic.refuses = null;
  return posted;
}

test('a refused event stops nobody and is a dead letter', async () => {
  const [, command] = await refused('first', 'second', 'third');
  assert.deepEqual(await emails(), ['first', 'third']);
  const [letter, ...more] = await letters();
  assert.equal(more.length, 0);
  assert.equal(letter.reason, 'the topic answered 400');
  assert.equal(letter.eventType, 'ProspectCreated');
  it.letter = letter.id;
  const shown = JSON.parse(await ctl('dead-letters', 'show', letter.id));
  assert.equal(shown.event.data.email, 'second@example.org');
  assert.equal(shown.event.causationId, command);
  assert.match(await ctl('dead-letters', 'list'), /^outbox\/\d+ .*ProspectCreated .*the topic answered 400$/);
  it.command = command;
});

test('requeued, it arrives under a new number', async () => {
  const socket = await EventSocket.subscribe(it.demo);
  await ctl('dead-letters', 'requeue', it.letter);
  const event = await socket.event((e) => e.causationId === it.command);
  socket.close();
  assert.ok(event.sequence > 3 && event.subjectVersion === 1);
  assert.equal((await it.demo.outcome(it.command)).status, 'succeeded');
  assert.deepEqual(await emails(), ['first', 'second', 'third']);
  assert.deepEqual(await letters(), []);
});

test('discarded, it is gone', async () => {
  await refused('fourth', 'fifth', 'sixth');
  const [letter] = await letters();
  await ctl('dead-letters', 'discard', letter.id);
  assert.deepEqual(await letters(), []);
  for (const verb of ['show', 'requeue', 'discard']) {
    assert.equal((await it.installation.ctl('dead-letters', verb, letter.id)).code, 69, verb);
    assert.equal((await it.installation.ctl('dead-letters', verb, 'nonsense')).code, 64, verb);
  }
  assert.deepEqual(await emails(), ['first', 'fourth', 'second', 'sixth', 'third']);
});

const sqlite = (file, sql) => execFileSync('sqlite3', ['-cmd', '.timeout 10000', path.join(it.installation.home, 'db', file), sql]);
const summary = async () => (await it.demo.get('/api/status')).json.summary;

test('a delivery that events-grid has given up is published once more, or discarded', async () => {
  const body = JSON.stringify(JSON.parse(it.topic.last)[0]);
  const give = () => sqlite('grid.db', `INSERT INTO grid_dead_letter (subscription, position, body, reason, last_outcome, attempts, dead_at)
    VALUES ('gateway', 1, '${body.replaceAll("'", "''")}', 'MaxDeliveryAttemptsExceeded', 'HTTP 503', 30, ${Date.now() * 1000})`);
  give();
  const [letter, ...more] = await letters();
  assert.equal(more.length, 0);
  assert.match(letter.id, /^grid\/\d+$/);
  assert.deepEqual([letter.reason, letter.subscription, letter.attempts], ['MaxDeliveryAttemptsExceeded, HTTP 503', 'gateway', 30]);
  assert.equal(JSON.parse(await ctl('dead-letters', 'show', letter.id)).event.eventId, JSON.parse(body).id);
  const { requests } = it.topic;
  await ctl('dead-letters', 'requeue', letter.id);
  assert.ok(it.topic.requests > requests && it.topic.last.includes(JSON.parse(body).id));
  assert.deepEqual(await letters(), []);
  give();
  await it.demo.create(person('another')); // the grid counts in passing
  await eventually('one is counted', async () => (await summary()).deliveryDeadLetters === 1, 20000);
  const [again] = await letters();
  await ctl('dead-letters', 'discard', again.id);
  await eventually('none is', async () => (await summary()).deliveryDeadLetters === 0, 20000);
  assert.deepEqual(await letters(), []);
});

test('a command that could not be handled is tried again, or discarded', async () => {
  const fails = async (name) => {
    const email = `${name}@example.org`;
    sqlite('write.db', `CREATE TRIGGER refusal BEFORE INSERT ON prospect WHEN NEW.email = '${email}' BEGIN INSERT INTO command_done SELECT * FROM command_done LIMIT 1; END`);
    const { json } = await it.demo.post('/api/prospects', person(name));
    await eventually('the dead letter', async () => (await it.demo.get(`/api/commands/${json.commandId}`)).json.status === 'failed', 20000);
    sqlite('write.db', 'DROP TRIGGER refusal');
    const [letter, ...more] = await letters();
    assert.equal(more.length, 0);
    assert.match(letter.id, /^command\/\d+$/);
    assert.deepEqual([letter.commandId, letter.commandType, letter.tries, letter.requeues], [json.commandId, 'CreateProspect', 5, 0]);
    assert.equal(JSON.parse(await ctl('dead-letters', 'show', letter.id)).command.email, email);
    await eventually('one is counted', async () => (await summary()).queueDeadLetters === 1, 20000);
    return letter;
  };
  const first = await fails('poor');
  await ctl('dead-letters', 'requeue', first.id);
  assert.equal((await it.demo.outcome(first.commandId)).status, 'succeeded');
  assert.deepEqual(await letters(), []);
  const second = await fails('hopeless');
  await ctl('dead-letters', 'discard', second.id);
  assert.equal((await it.demo.get(`/api/commands/${second.commandId}`)).status, 404);
  await eventually('none is counted', async () => (await summary()).queueDeadLetters === 0, 20000);
  assert.deepEqual(await letters(), []);
});

test('status tells what waits', async () => {
  await eventually('quiet', async () => (await status()).unpublished === 0, 20000);
  const before = await status();
  assert.equal(before.withoutNumber, 0);
  assert.equal(before.held, before.lastSequence);
  assert.equal(before.projectionEpoch, before.epoch);
  it.topic.down = true;
  await it.demo.post('/api/prospects', person('seventh'));
  await eventually('a number', async () => (await status()).unpublished === 1);
  const down = await status();
  assert.equal(down.lastSequence, String(BigInt(before.lastSequence) + 1n));
  assert.ok(Date.now() - Date.parse(down.oldest) < 60000);
  it.topic.down = false;
  await eventually('the seventh', async () => (await emails()).includes('seventh'), 40000);
  it.last = down.lastSequence;
});

test('an events-grid that has started is sent what waits, whatever pause was asked for before', async () => {
  await eventually('quiet', async () => (await status()).unpublished === 0, 20000);
  Object.assign(it.topic, { down: true, patience: 600 });
  const { requests } = it.topic;
  const { json } = await it.demo.post('/api/prospects', person('patient'));
  await eventually('a request', async () => it.topic.requests > requests);
  await it.installation.kill('grid');
  it.topic.down = false;
  await it.installation.run('grid');
  assert.equal((await it.demo.outcome(json.commandId)).status, 'succeeded');
  it.last = (await status()).lastSequence;
});

test('a lost numbering is followed by a new epoch', async () => {
  const refusal = await it.installation.ctl('outbox', 'new-epoch');
  assert.equal(refusal.code, 69);
  assert.match(refusal.stderr, /events-relay is running/);
  const before = await emails(), { epoch } = await status();
  await it.installation.kill('relay');
  await it.installation.kill('projection');
  const db = path.join(it.installation.home, 'db');
  for (const name of readdirSync(db)) if (name.startsWith('relay.db')) rmSync(path.join(db, name));
  await it.demo.post('/api/prospects', person('eighth'));
  await ctl('migrate');
  assert.match(await ctl('outbox', 'new-epoch'), new RegExp(`^numbers go on above ${it.last}, in the epoch `));
  await it.installation.run('projection');
  await it.installation.run('relay');
  await eventually('the eighth', async () => (await emails()).includes('eighth'), 20000);
  const socket = await EventSocket.subscribe(it.demo);
  await it.demo.create(person('ninth'));
  await socket.event((e) => e.eventType === 'ProspectCreated' && Number(e.sequence) > Number(it.last));
  assert.notEqual(socket.epoch, epoch);
  socket.close();
  // the fifth, too: that it was refused stood in the file that is lost, and the topic takes it now
  assert.deepEqual(await emails(), [...before, 'fifth', 'eighth', 'ninth'].sort());
});
