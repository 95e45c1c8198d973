// The whole path on PostgreSQL: the import has the same outcome as on files; kill -9 of each program and a restart of
// the server in the middle lose nothing, double nothing and count as nobody's try.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Imports } from './kit/imports.mjs';
import { Installation, PROGRAMS } from './kit/installation.mjs';
import { Postgres } from './kit/postgres.mjs';
import { eventually, sleep } from './kit/wait.mjs';

const it = {};

before(async () => {
  it.postgres = await Postgres.start('events', 'events_read');
  it.installation = await Installation.start({
    env: { EVENTS_WRITE_DB: it.postgres.url('events'), EVENTS_READ_DB: it.postgres.url('events_read') },
  });
  it.imports = await Imports.begin(it.installation, 400);
  it.demo = it.imports.demo;
});
after(async () => {
  try {
    await it.imports?.stop();
    await it.installation?.stop();
  } finally {
    await it.postgres?.stop(); // else a fault of the programs leaves a server, and a test that never ends
  }
});

test('everything is in the server: no file of SQLite but the stand-in for Event Grid', () => {
  const tables = (database) => it.postgres.sql(database, "SELECT string_agg(part, ' ' ORDER BY part) FROM schema_step WHERE number = 1");
  assert.equal(tables('events'), 'queue relay users write');
  assert.equal(tables('events_read'), 'read');
});

test('the data set has its expected outcome', () => it.imports.dataSet(1000)); // on files all of it is a test of its own

test('the doctor finds nothing wrong with it', async () => {
  const doctor = async () => JSON.parse((await it.installation.ctl('doctor', '--json')).stdout);
  await eventually('all is well', async () => (await doctor()).faults === 0, 30000);
  const { findings } = await doctor();
  const found = (about) => findings.filter((f) => f.about === about).map((f) => f.found).join();
  for (const name of ['users', 'commands', 'the write model', 'the relay', 'the read model']) assert.match(found(`tables: ${name}`), /^reached/);
  assert.equal(found('tables: settled commands'), ''); // those are of files
  assert.match(found('numbering'), /^one epoch; /);
  assert.match(found('outbox'), /^(no event waits|events that wait)/);
  assert.ok(!JSON.stringify(findings).includes('not known'));
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

for (const program of PROGRAMS.filter((p) => p !== 'grid'))
  test(`kill -9 of events-${program} during an import`, () => it.imports.round(async () => {
    await it.installation.kill(program);
    await it.installation.run(program);
  }));

test('a restart of PostgreSQL during an import', () => it.imports.round(async () => {
  await it.postgres.down();
  await sleep(1500);
  await it.postgres.up();
}));

test('nothing is lost, nothing doubled, and no outage was a try', async () => {
  await it.imports.nothingIsLostOrDoubled();
  assert.equal(it.postgres.sql('events', 'SELECT count(*) FROM queue_dead'), '0');
  // what was done when the server went away, and could not be settled, comes again when its lease of 30 s has run out
  await eventually('an empty queue', () => it.postgres.sql('events', 'SELECT count(*) FROM queue_ready') === '0', 60000);
  assert.equal(it.postgres.sql('events', 'SELECT count(*) FROM outbox_fresh'), '0');
});
