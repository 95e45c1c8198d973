// What is kept for a second only goes: rows of the outbox with their numbers, ids of the inbox, events of the log
// between a subject's first and last one, commands that are settled. What is needed stays: the read model, and what is
// known of commands.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { eventually, sleep } from './kit/wait.mjs';
import { EventSocket } from './kit/websocket.mjs';

const SECOND = '1', CHANGES = 5;
const it = { beats: 0 };

before(async () => {
  it.installation = await Installation.start({ env: {
    EVENTS_OUTBOX_RETENTION_SECONDS: SECOND, EVENTS_INBOX_RETENTION_SECONDS: SECOND, EVENTS_LOG_RETENTION_SECONDS: SECOND,
  } });
  it.demo = await Client.demo(it.installation);
});
after(() => it.installation?.stop());

const count = (file, sql) => Number(execFileSync('sqlite3', ['-readonly', '-cmd', '.timeout 10000', path.join(it.installation.home, 'db', file), sql]));
const person = (email) => ({ firstName: 'Old', lastName: 'Age', email });

/** Programs clean after work: here it is. */
async function work() {
  await it.demo.create(person(`beat-${++it.beats}@example.org`));
  await sleep(1100);
}

async function change(id, notes) {
  const { status, json } = await it.demo.send('PUT', `/api/prospects/${id}`, { ...person('first@example.org'), notes }, { 'if-match': '*' });
  assert.equal(status, 202);
  assert.equal((await it.demo.outcome(json.commandId)).status, 'succeeded');
}

test('old rows go', async () => {
  it.command = { ...person('first@example.org'), commandId: crypto.randomUUID() };
  it.outcome = await it.demo.create(it.command);
  const id = it.outcome.subject.split('/')[1];
  for (let i = 1; i <= CHANGES; i++) await change(id, `change ${i}`);
  await eventually('old rows to go', async () => {
    await work();
    return !count('write.db', `SELECT count(*) FROM outbox WHERE outbox_id <= ${CHANGES + 1}`) &&
      !count('relay.db', `SELECT count(*) FROM numbered WHERE sequence <= ${CHANGES + 1}`) &&
      !count('read.db', `SELECT count(*) FROM inbox WHERE sequence <= ${CHANGES + 1}`) &&
      count('read.db', 'SELECT trimmed FROM projection_state') > CHANGES;
  }, 40000);
  const kept = count('read.db', `SELECT group_concat(sequence, '') FROM replay_log WHERE subject = '${it.outcome.subject}'`);
  assert.equal(kept, Number(`1${CHANGES + 1}`), 'the first and the last event of the subject');
});

test('a position before the trim point cannot be resumed, one behind it can', async () => {
  await it.installation.kill('gateway'); // whose memory reaches further back
  await it.installation.run('gateway');
  const socket = await EventSocket.open(it.demo);
  socket.send({ subscribe: { id: 1, after: 2 } });
  assert.equal((await socket.frame('resyncRequired')).resyncRequired.reason, 'too_old');
  socket.send({ subscribe: { id: 2, after: count('read.db', 'SELECT trimmed FROM projection_state') } });
  await socket.frame('subscribed', (s) => s.id === 2 && s.caughtUp);
  socket.send({ subscribe: { id: 3, after: 0 } }); // from the oldest event kept
  await socket.frame('subscribed', (s) => s.id === 3 && s.caughtUp);
  assert.ok(socket.events.some((e) => e.sequence === 1));
  socket.close();
});

test('nothing needed has gone', async () => {
  const list = await it.demo.list();
  assert.equal(list.length, it.beats + 1);
  assert.equal(list.find(({ email }) => email === 'first@example.org').notes, `change ${CHANGES}`);
  assert.deepEqual(await it.demo.create(it.command), it.outcome, 'a repeated command has the same answer');
  await work();
  assert.equal((await it.demo.list()).length, it.beats + 1, 'and no second effect');
});

test('a settled command that is old leaves the queue, and what is known of it stays', async () => {
  await it.installation.kill('gateway');
  it.installation.programs.gateway = { EVENTS_COMMAND_RETENTION_SECONDS: SECOND };
  await it.installation.run('gateway');
  await eventually('old commands to go', async () => {
    await work();
    return !count('queue.db', `SELECT count(*) FROM command_queue WHERE queue_id <= ${CHANGES + 1}`);
  }, 40000);
  assert.equal((await it.demo.get(`/api/commands/${it.command.commandId}`)).json.status, 'succeeded');
  assert.deepEqual(await it.demo.create(it.command), it.outcome, 'the same answer, by the memory of the handler');
  assert.equal((await it.demo.list()).length, it.beats + 1, 'and no second effect');
});

test('one that waits does not, however old', async () => {
  await it.installation.kill('prospects');
  const sent = [];
  for (const name of ['one', 'two', 'three']) {
    const { status, json } = await it.demo.send('POST', '/api/prospects', person(`waits-${name}@example.org`));
    assert.equal(status, 202);
    sent.push(json.commandId);
    await sleep(1100);
  }
  for (const id of sent) assert.equal((await it.demo.get(`/api/commands/${id}`)).json.status, 'pending');
  await it.installation.run('prospects');
  for (const id of sent) assert.equal((await it.demo.outcome(id)).status, 'succeeded');
});
