// The whole path on PostgreSQL: the import has the same outcome as on files; kill -9 of each program and a restart of
// the server in the middle lose nothing, double nothing and count as nobody's try.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Client } from './kit/client.mjs';
import { parseCsv, writeCsv } from './kit/csv.mjs';
import { Installation, PROGRAMS, ROOT } from './kit/installation.mjs';
import { Postgres } from './kit/postgres.mjs';
import { Subscriber } from './kit/subscriber.mjs';
import { SHORT, eventually, sleep } from './kit/wait.mjs';

const LONG = !!process.env.EVENTS_LONG;
const ROUND = SHORT ? 150 : LONG ? 3000 : 400;
const it = { accepted: 0 };

before(async () => {
  it.postgres = await Postgres.start('events', 'events_read');
  it.installation = await Installation.start({
    env: { EVENTS_WRITE_DB: it.postgres.url('events'), EVENTS_READ_DB: it.postgres.url('events_read') },
  });
  it.demo = await Client.demo(it.installation);
  it.subscriber = new Subscriber(it.demo);
});
after(async () => {
  try {
    await it.subscriber?.stop();
    await it.installation?.stop();
  } finally {
    await it.postgres?.stop(); // else a fault of the programs leaves a server, and a test that never ends
  }
});

async function runImport(file) {
  const { code, stdout, stderr } = await it.installation.ctl('import', file, '--json');
  assert.equal(code, 0, `${stderr}\n${stdout}\n${it.installation.logs()}`);
  return JSON.parse(stdout.trimEnd().split('\n').at(-1));
}

const created = () => it.subscriber.events.filter((e) => e.eventType === 'ProspectCreated');

test('everything is in the server: no file of SQLite but the stand-in for Event Grid', () => {
  const tables = (database) => it.postgres.sql(database, "SELECT string_agg(part, ' ' ORDER BY part) FROM schema_step WHERE number = 1");
  assert.equal(tables('events'), 'queue relay users write');
  assert.equal(tables('events_read'), 'read');
});

test('the data set has its expected outcome', async () => {
  const rows = parseCsv(gunzipSync(readFileSync(path.join(ROOT, 'tests/data/prospects.csv.gz'))).toString());
  if (!LONG) rows.length = 1001; // all of it with --long; on files it is a test of its own
  it.file = path.join(it.installation.home, 'prospects.csv');
  writeFileSync(it.file, writeCsv(rows));
  it.report = await runImport(it.file);
  if (LONG) {
    assert.deepEqual(it.report, JSON.parse(readFileSync(path.join(ROOT, 'tests/data/prospects.expected.json'), 'utf8')));
  } else {
    const counts = { rows: it.report.rows, accepted: it.report.accepted };
    const faults = Object.values(it.report.rejected).reduce((a, b) => a + b, 0);
    assert.deepEqual(counts, { rows: 1000, accepted: 1000 - faults });
    for (const code of ['required', 'invalid_email', 'too_long', 'wrong_column_count']) assert.ok(it.report.rejected[code], code);
  }
  it.accepted = it.report.accepted;
  assert.deepEqual(await runImport(it.file), it.report, 'again: the same outcome, nothing changes');
  assert.equal((await it.demo.list()).length, it.accepted);
});

test('sorting, searching and paging are those of files', async () => {
  const list = await it.demo.list();
  const page = await it.demo.get('/api/prospects?sort=lastName&limit=200');
  const keys = page.json.items.map((p) => p.lastName);
  assert.equal(keys.length, 200);
  const [one] = list;
  const found = await it.demo.get(`/api/prospects?query=${encodeURIComponent(one.email.split('@')[0].toUpperCase())}`);
  assert.ok(found.json.items.some((p) => p.prospectId === one.prospectId));
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

for (const program of PROGRAMS.filter((p) => p !== 'grid'))
  test(`kill -9 of events-${program} during an import`, () => round(async () => {
    await it.installation.kill(program);
    await it.installation.run(program);
  }));

test('a restart of PostgreSQL during an import', () => round(async () => {
  await it.postgres.down();
  await sleep(1500);
  await it.postgres.up();
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
  assert.equal(it.postgres.sql('events', 'SELECT count(*) FROM queue_dead'), '0');
  await eventually('an empty queue', () => it.postgres.sql('events', 'SELECT count(*) FROM queue_ready') === '0', 15000);
  assert.equal(it.postgres.sql('events', 'SELECT count(*) FROM outbox_fresh'), '0');
});
