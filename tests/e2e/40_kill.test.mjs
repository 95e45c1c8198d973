// kill -9 of each program in the middle of an import, and of all at once: at the end nothing is lost, nothing doubled.
//
// Each round imports a file of its own with a known outcome. While it runs, a subscriber that resumes by its position
// collects every event, and a writer changes some of the new prospects twice; when the subscriber has seen a fifth of
// the round's rows, the program is killed and started again.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from './kit/client.mjs';
import { Installation, PROGRAMS } from './kit/installation.mjs';
import { decode } from './kit/protobuf.mjs';
import { Subscriber } from './kit/subscriber.mjs';
import { SHORT, eventually, sleep } from './kit/wait.mjs';

const ROWS = SHORT ? 300 : 3000;
const HEADER = 'firstName,lastName,email,phone,notes\n';
const it = { accepted: 0 };

/** Rows with known faults: every 50th repeats the e-mail of the one before in capitals, every 70th has no last name. */
function makeFile(round) {
  let text = HEADER, rejected = { duplicate_email: 0, required: 0 }, accepted = 0, lastGood = '';
  for (let i = 1; i <= ROWS; i++) {
    let email = `r${round}-${i}@example.org`, lastName = `Row${i}`;
    if (i % 70 === 0) (lastName = ''), rejected.required++;
    else if (i % 50 === 0) (email = lastGood.toUpperCase()), rejected.duplicate_email++;
    else accepted++, (lastGood = email);
    text += `Kill,${lastName},${email},,round ${round}\n`;
  }
  const file = path.join(it.installation.home, `round-${round}.csv`);
  writeFileSync(file, text);
  return { file, expected: { rows: ROWS, accepted, rejected } };
}

/** Changes every 100th new prospect twice; retries until it has its outcome, with one command id per change. */
async function changeTwice(event) {
  const id = event.subject.split('/')[1];
  const { firstName, lastName, email } = decode('ProspectCreated', event.data);
  for (const notes of ['changed once', 'changed twice']) {
    const body = { firstName, lastName, email, notes, commandId: crypto.randomUUID() };
    await eventually(`the change of ${event.subject}`, async () => {
      const reply = await it.demo.send('PUT', `/api/prospects/${id}`, body, { 'if-match': '*' });
      if (reply.status !== 202) return false;
      const outcome = await it.demo.get(`/api/commands/${body.commandId}`);
      return outcome.status === 200 && outcome.json.status === 'succeeded';
    }, 60000, 50);
  }
}

before(async () => {
  it.installation = await Installation.start();
  it.demo = await Client.demo(it.installation);
  it.changes = [];
  it.subscriber = new Subscriber(it.demo);
  let seen = 0;
  it.subscriber.onEvent = (event) => {
    if (event.eventType === 'ProspectCreated' && ++seen % 100 === 1) it.changes.push(changeTwice(event));
  };
});

after(async () => {
  await it.subscriber?.stop();
  await it.installation?.stop();
});

const created = () => it.subscriber.events.filter((e) => e.eventType === 'ProspectCreated');

async function killRound(round, programs) {
  const { file, expected } = makeFile(round);
  const had = created().length;
  let ended = false;
  const running = it.installation.ctl('import', file, '--json').finally(() => (ended = true));
  await eventually('a fifth of the rows', () => ended || created().length >= had + ROWS / 5, 60000, 5);
  assert.equal(ended, false, 'the kill comes in the middle of the import');
  for (const program of programs) await it.installation.kill(program);
  await sleep(300);
  await Promise.all(programs.map((program) => it.installation.run(program)));
  const { code, stdout, stderr } = await running;
  assert.equal(code, 0, `${stderr}\n${stdout}\n${it.installation.logs()}`);
  assert.deepEqual(JSON.parse(stdout.trimEnd().split('\n').at(-1)), expected);
  it.accepted += expected.accepted;
}

let round = 0;
for (const program of PROGRAMS)
  test(`kill -9 of events-${program} during an import`, () => killRound(++round, [program]));
test('kill -9 of all five at once during an import', () => killRound(++round, PROGRAMS));

test('nothing is lost and nothing doubled in the list', async () => {
  await Promise.all(it.changes);
  const list = await it.demo.list();
  assert.equal(list.length, it.accepted);
  assert.equal(new Set(list.map((row) => row.email.toLowerCase())).size, list.length, 'each e-mail once');
  const changed = list.filter((row) => row.version === 3 && row.notes === 'changed twice');
  assert.equal(changed.length, it.changes.length);
  assert.ok(list.every((row) => row.version === 1 || row.version === 3));
  it.list = list;
});

test('the subscriber got every event once, in order for each subject, without a gap in the numbers', async () => {
  const versions = new Map();
  await eventually('every creation', () => created().length >= it.accepted, 30000);
  await eventually('every change', () => it.subscriber.events.filter((e) => e.eventType === 'ProspectUpdated').length >= 2 * it.changes.length, 30000);
  assert.equal(created().length, it.accepted);
  assert.equal(new Set(created().map((e) => e.subject)).size, it.accepted);
  for (const event of it.subscriber.events.filter((e) => e.subject.startsWith('prospect/'))) {
    assert.equal(event.subjectVersion, (versions.get(event.subject) ?? 0) + 1, `${event.subject} in order`);
    versions.set(event.subject, event.subjectVersion);
  }
  for (const row of it.list) assert.equal(versions.get(`prospect/${row.prospectId}`), row.version);
  const numbers = it.subscriber.events.map((e) => e.sequence).sort((a, b) => a - b);
  assert.equal(new Set(numbers).size, numbers.length);
  assert.equal(numbers.at(-1) - numbers[0] + 1, numbers.length, 'dense');
  assert.deepEqual(it.subscriber.resyncs, []);
});

test('the same imports again have the same outcome', async () => {
  const { file, expected } = makeFile(1);
  const { code, stdout } = await it.installation.ctl('import', file, '--json');
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout.trimEnd().split('\n').at(-1)), expected);
  assert.equal((await it.demo.list()).length, it.accepted);
});
