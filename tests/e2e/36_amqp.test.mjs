// The whole path with RabbitMQ as the command queue: an import has the outcome that it has on files; kill -9 of the
// gateway, of events-prospects and of the broker in the middle lose nothing, double nothing and count as nobody's try.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Client } from './kit/client.mjs';
import { parseCsv, writeCsv } from './kit/csv.mjs';
import { Installation, ROOT } from './kit/installation.mjs';
import { Rabbitmq } from './kit/rabbitmq.mjs';
import { Subscriber } from './kit/subscriber.mjs';
import { SHORT, eventually } from './kit/wait.mjs';

const LONG = !!process.env.EVENTS_LONG;
const ROUND = SHORT ? 150 : LONG ? 3000 : 250;
const it = { accepted: 0 };

before(async () => {
  it.rabbitmq = await Rabbitmq.start();
  it.installation = await Installation.start({ env: { EVENTS_QUEUE: it.rabbitmq.url() } });
  it.demo = await Client.demo(it.installation);
  it.subscriber = new Subscriber(it.demo);
});
after(async () => {
  try {
    await it.subscriber?.stop();
    await it.installation?.stop();
  } finally {
    await it.rabbitmq?.stop(); // else a fault of the programs leaves a server, and a test that never ends
  }
});

async function runImport(file) {
  const { code, stdout, stderr } = await it.installation.ctl('import', file, '--json');
  assert.equal(code, 0, `${stderr}\n${stdout}\n${it.installation.logs()}`);
  return JSON.parse(stdout.trimEnd().split('\n').at(-1));
}

const created = () => it.subscriber.events.filter((e) => e.eventType === 'ProspectCreated');
const outcome = (id) => it.demo.get(`/api/commands/${id}`);

test('a part of the data set has its expected outcome, also the second time', async () => {
  const rows = parseCsv(gunzipSync(readFileSync(path.join(ROOT, 'tests/data/prospects.csv.gz'))).toString());
  if (!LONG) rows.length = 401;
  const file = path.join(it.installation.home, 'prospects.csv');
  writeFileSync(file, writeCsv(rows));
  const report = await runImport(file);
  if (LONG) {
    assert.deepEqual(report, JSON.parse(readFileSync(path.join(ROOT, 'tests/data/prospects.expected.json'), 'utf8')));
  } else {
    const faults = Object.values(report.rejected).reduce((a, b) => a + b, 0);
    assert.deepEqual({ rows: report.rows, accepted: report.accepted }, { rows: 400, accepted: 400 - faults });
    for (const code of ['required', 'invalid_email', 'too_long', 'wrong_column_count']) assert.ok(report.rejected[code], code);
  }
  it.accepted = report.accepted;
  assert.deepEqual(await runImport(file), report, 'again: the same outcome, nothing changes');
  assert.equal((await it.demo.list()).length, it.accepted);
});

test('a command that is waiting is pending, one that nobody knows too: a broker cannot be searched', async () => {
  assert.deepEqual((await outcome(crypto.randomUUID())).json.status, 'pending');
  assert.equal((await outcome('no-id')).status, 404);
});

test('the same id with another body: the first outcome stays, the second sender is told', async () => {
  const body = { firstName: 'Two', lastName: 'Bodies', email: 'two@example.org', commandId: crypto.randomUUID() };
  assert.equal((await it.demo.send('POST', '/api/prospects', body)).status, 202);
  await eventually('the outcome', async () => (await outcome(body.commandId)).json.status === 'succeeded');
  const told = () => it.subscriber.events.filter((e) => e.eventType === 'CommandRejected' && e.causationId === body.commandId);
  assert.equal((await it.demo.send('POST', '/api/prospects', body)).status, 202, 'the same again is no conflict');
  assert.equal((await it.demo.send('POST', '/api/prospects', { ...body, lastName: 'Other' })).status, 202);
  await eventually('CommandRejected', () => told().length === 1);
  assert.equal((await outcome(body.commandId)).json.status, 'succeeded');
  it.accepted++;
});

/** Rows with a known outcome: every 50th repeats the e-mail of the one before in capitals. */
function makeFile(round) {
  let text = 'firstName,lastName,email,phone,notes\n', last = '', duplicates = 0;
  for (let i = 1; i <= ROUND; i++) {
    const again = i % 50 === 0;
    const email = again ? last.toUpperCase() : (last = `r${round}-${i}@example.org`);
    duplicates += again;
    text += `Round,Row${i},${email},,\n`;
  }
  const file = path.join(it.installation.home, `round-${round}.csv`);
  writeFileSync(file, text);
  return { file, expected: { rows: ROUND, accepted: ROUND - duplicates, rejected: { duplicate_email: duplicates } } };
}

let rounds = 0;
async function round(disturb) {
  const { file, expected } = makeFile(++rounds);
  const had = created().length;
  let ended = false;
  const running = runImport(file).finally(() => (ended = true));
  await eventually('a fifth of the rows', () => ended || created().length >= had + ROUND / 5, 60000, 2);
  assert.equal(ended, false, 'it comes in the middle of the import');
  await disturb();
  assert.deepEqual(await running, expected);
  it.accepted += expected.accepted;
}

for (const program of ['gateway', 'prospects'])
  test(`kill -9 of events-${program} during an import`, () => round(async () => {
    await it.installation.kill(program);
    await it.installation.run(program);
  }));

test('kill -9 of the broker during an import; meanwhile a command is answered 503, and reads go on', () => round(async () => {
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
  it.accepted++;
}));

test('nothing is lost, nothing doubled, and no outage was a try', async () => {
  const list = await it.demo.list();
  assert.equal(list.length, it.accepted);
  assert.equal(new Set(list.map((row) => row.email.toLowerCase())).size, list.length, 'each e-mail once');
  await eventually('every creation', () => created().length >= it.accepted, 30000);
  assert.equal(created().length, it.accepted);
  const numbers = it.subscriber.events.map((e) => e.sequence).sort((a, b) => a - b);
  assert.equal(numbers.at(-1) - numbers[0] + 1, numbers.length, 'dense');
  assert.equal(new Set(numbers).size, numbers.length);
  const log = readFileSync(path.join(it.installation.home, 'logs/prospects.log'), 'utf8');
  assert.doesNotMatch(log, /dead letter/);
});
