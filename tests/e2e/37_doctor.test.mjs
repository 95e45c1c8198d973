// eventsctl doctor: what is wrong with an installation, in plain words. All is well after a start; then one thing after
// the other is broken, told, and mended.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { eventually } from './kit/wait.mjs';

let it;
before(async () => {
  it = await Installation.start();
  const demo = await Client.demo(it);
  await demo.create({ firstName: 'Doc', lastName: 'Tor', email: 'doctor.patient@example.org' });
});
after(() => it?.stop());

const file = (...names) => path.join(it.home, ...names);
const sqlite = (name, sql) => execFileSync('sqlite3', ['-cmd', '.timeout 10000', file('db', name), sql]).toString().trim();

/** One line of JSON. The disk of who tests is his own affair. */
async function doctor() {
  const { code, stdout, stderr } = await it.ctl('doctor', '--json');
  assert.equal(stderr, '');
  assert.equal(stdout.trimEnd().split('\n').length, 1);
  const { findings, faults, warnings } = JSON.parse(stdout);
  const of = (level) => findings.filter((f) => f.level === level && f.about !== 'disk').map(({ about, found, remedy }) => ({ about, found, remedy }));
  assert.equal(code, faults ? 1 : 0, stdout);
  assert.equal(findings.filter(({ level }) => level === 'warning').length, warnings);
  assert.equal(findings.filter(({ level }) => level === 'fault').length, faults);
  return { ok: of('ok'), warnings: of('warning'), faults: of('fault') };
}

/** Exactly one finding of this level, and nothing of the other one. */
async function only(level, about, found, remedy) {
  const all = await doctor();
  const bad = [...all.warnings, ...all.faults];
  assert.equal(bad.length, 1, JSON.stringify(bad));
  assert.equal(all[level].length, 1, JSON.stringify(bad));
  assert.equal(bad[0].about, about);
  assert.match(bad[0].found, found);
  assert.match(bad[0].remedy, remedy);
}

const well = () => eventually('all is well', async () => {
  const { warnings, faults } = await doctor();
  return warnings.length + faults.length === 0;
}, 30000);

test('nothing is wrong with a fresh installation', async () => {
  await well();
  const { ok } = await doctor();
  for (const about of ['home', 'settings', 'files', 'certificate', 'numbering', 'outbox', 'events-gateway', 'events-relay', 'tables: the read model'])
    assert.equal(ok.filter((f) => f.about === about).length, 1, about);
  assert.equal(ok.filter((f) => f.about === 'dead letters').length, 4);
  assert.match(ok.find((f) => f.about === 'numbering').found, /of 1 numbers the projection holds 1/);
  const { code, stdout } = await it.ctl('doctor');
  assert.equal(code, 0);
  for (const line of stdout.trimEnd().split('\n')) assert.match(line, /^(ok|warning) +\S/);
  for (const secret of ['webhook', 'internal', 'grid-key']) assert.ok(!stdout.includes(readFileSync(file('secrets', secret), 'utf8').trim()));
  assert.ok(!stdout.includes('doctor.patient'));
});

test('a program that has ended is told', async () => {
  await it.kill('prospects');
  await only('faults', 'events-prospects', /does not answer at 127\.0\.0\.1:\d+/, /start it again/);
  await it.run('prospects');
  await well();
});

test('a program or a database that hangs does not hang the doctor', async () => {
  const deaf = net.createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await new Promise((done) => deaf.once('listening', done));
  const admin = readFileSync(file('run', 'relay.admin'), 'utf8');
  writeFileSync(file('run', 'relay.admin'), `127.0.0.1:${deaf.address().port}\n`);
  await only('faults', 'events-relay', /does not answer/, /start it again/);
  writeFileSync(file('run', 'relay.admin'), admin);
  it.env.EVENTS_READ_DB = `postgresql://events:hidden-word@127.0.0.1:${deaf.address().port}/events`;
  const { code, stdout } = await it.ctl('doctor');
  delete it.env.EVENTS_READ_DB;
  assert.equal(code, 1);
  assert.match(stdout, /^fault +tables: the read model +no answer within 5 s; /m);
  assert.match(stdout, /^ok +tables: the write model /m);
  assert.ok(!stdout.includes('hidden-word'));
  deaf.close();
});

test('a numbering that the projection contradicts is told, in both ways', async () => {
  await it.kill('relay');
  await it.kill('projection');
  const [epoch, last] = sqlite('relay.db', 'SELECT epoch, last_sequence FROM relay_state').split('|');
  const numbering = async (set) => {
    sqlite('relay.db', `UPDATE relay_state SET ${set}`);
    return (await doctor()).faults.find(({ about }) => about === 'numbering');
  };
  const other = await numbering("epoch = '0190a000-0000-7000-8000-000000000000'");
  assert.match(other.found, /publishes nothing: its epoch is 0190a000-\S+, the projection's /);
  const less = await numbering(`epoch = '${epoch}', last_sequence = 0`);
  assert.match(less.found, /acknowledged number 1, and only 0 were given/);
  for (const { remedy } of [other, less]) assert.match(remedy, /`eventsctl outbox new-epoch`/);
  assert.equal(await numbering(`last_sequence = ${last}`), undefined);
  await it.run('projection');
  await it.run('relay');
  await well();
});

test('a dead letter is told, and is no fault', async () => {
  sqlite('grid.db', `INSERT INTO grid_dead_letter (subscription, position, body, reason, last_outcome, attempts, dead_at)
    VALUES ('gateway', 1, '{}', 'MaxDeliveryAttemptsExceeded', 'HTTP 503', 30, ${Date.now() * 1000})`);
  await only('warnings', 'dead letters', /^1 of the grid$/, /dead-letters list/);
  sqlite('grid.db', 'DELETE FROM grid_dead_letter');
  await well();
});

test('tables that are older or newer than the program are told', async () => {
  const newest = sqlite('users.db', 'SELECT max(number) FROM schema_step');
  sqlite('users.db', 'INSERT INTO schema_step VALUES (999, 0)');
  await only('faults', 'tables: users', /at step 999, this program knows only \d+/, /newer programs/);
  sqlite('users.db', `DELETE FROM schema_step WHERE number >= ${newest}`);
  await only('faults', 'tables: users', new RegExp(`this program needs ${newest}$`), /`eventsctl migrate`/);
  sqlite('users.db', `INSERT INTO schema_step VALUES (${newest}, 0)`);
  await well();
});

test('a secret that all may read, a lost key and a setting that is no number are told', async () => {
  chmodSync(file('secrets', 'internal'), 0o644);
  await only('faults', 'files', /secrets\/internal is open to every user \(mode 644\)/, /mode 600/);
  chmodSync(file('secrets', 'internal'), 0o600);
  const key = readFileSync(file('tls.key'));
  rmSync(file('tls.key'));
  await only('faults', 'certificate', /tls\.key is missing/, /eventsctl init/);
  writeFileSync(file('tls.key'), key, { mode: 0o600 });
  it.env.EVENTS_POLL_SECONDS = 'often';
  await only('faults', 'settings', /EVENTS_POLL_SECONDS is not a number from 1 to 3600/, /mend the setting/);
  delete it.env.EVENTS_POLL_SECONDS;
  await well();
});

test('of a home that is not there nothing else is said', async () => {
  const { code, stdout } = await it.ctl('--home', file('nowhere'), 'doctor');
  assert.equal(code, 1);
  assert.match(stdout, /^fault +home +\S+nowhere: No such file or directory; .*`eventsctl init`\n$/);
});
