// The import against a gateway in trouble (a stand-in that throttles, fails and cuts connections): it waits as it is
// told, tries again, and still has one command and one outcome for each row.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { BusyGateway } from './kit/busy_gateway.mjs';
import { parseCsv } from './kit/csv.mjs';
import { BUILD } from './kit/installation.mjs';

const folder = mkdtempSync(path.join(tmpdir(), 'events-import-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function importFile(gateway, text, ...more) {
  const file = path.join(folder, 'rows.csv');
  writeFileSync(file, text);
  return new Promise((done) => {
    const child = execFile(path.join(BUILD, 'eventsctl'),
      ['import', file, '--json', '--url', gateway.url, '--password-stdin', '--rejected', path.join(folder, 'rejected.csv'), '--wait', '20', ...more],
      { env: { ...process.env, EVENTS_HOME: folder }, cwd: folder },
      (error, stdout, stderr) => done({ code: error ? error.code ?? -1 : 0, stderr, stdout, report: stdout.includes('{') ? JSON.parse(stdout.trimEnd().split('\n').at(-1)) : null }));
    child.stdin.end('password\n');
  });
}

const rows = (count, email = (i) => `row-${i}@example.org`) =>
  'firstName,lastName,email,phone,notes\r\n' + Array.from({ length: count }, (_, i) => `A,B,${email(i + 1)},,\r\n`).join('');

async function withGateway(plan, run) {
  const gateway = await BusyGateway.start(plan);
  try {
    return await run(gateway);
  } finally {
    gateway.stop();
  }
}

// Nothing has an outcome before 256 are unfinished: a client that takes fewer would wait for ever.
test('at most 256 commands are unfinished', () => withGateway({
  holds: (gateway) => gateway.mostInFlight < 256 && gateway.commands.size < 2000,
}, async (gateway) => {
  const { code, report, stderr } = await importFile(gateway, rows(2000));
  assert.equal(code, 0, stderr);
  assert.deepEqual(report, { rows: 2000, accepted: 2000, rejected: {} });
  assert.equal(gateway.commands.size, 2000);
  assert.equal(gateway.mostInFlight, 256);
  assert.equal(gateway.logins, 1);
}));

test('429 and 503 with Retry-After hold back every post', async () => {
  for (const status of [429, 503])
    await withGateway({ trouble: (kind, n) => kind === 'post' && (n === 50 || n === 400) && { status, headers: { 'retry-after': '1' } } }, async (gateway) => {
      const begun = Date.now();
      const { code, report, stderr } = await importFile(gateway, rows(600));
      assert.equal(code, 0, stderr);
      assert.deepEqual(report, { rows: 600, accepted: 600, rejected: {} });
      assert.ok(Date.now() - begun >= 2000, 'two pauses of a second');
      assert.equal(gateway.early, 0);
    });
});

test('errors and cut connections are tried again, with the same command id', () => withGateway({
  trouble: (kind, n) => (n % 97 === 0 ? { status: 500 } : n === 333 && { cut: true }),
}, async (gateway) => {
  const { code, report, stderr } = await importFile(gateway, rows(1000));
  assert.equal(code, 0, stderr);
  assert.deepEqual(report, { rows: 1000, accepted: 1000, rejected: {} });
  assert.equal(gateway.commands.size, 1000);
}));

test('a token that has ended is renewed once, not by every request', () => withGateway({
  trouble(kind, n) {
    if (kind === 'post' && n === 300) this.gateway.forgetToken();
  },
}, async (gateway) => {
  gateway.plan.gateway = gateway;
  const { code, report, stderr } = await importFile(gateway, rows(800));
  assert.equal(code, 0, stderr);
  assert.equal(report.accepted, 800);
  assert.equal(gateway.logins + gateway.refreshes, 2);
}));

test('rows with the same e-mail are accepted in the order of the file', () => withGateway({
  trouble: (kind, n) => kind === 'post' && n % 7 === 0 && { status: 500 },
}, async (gateway) => {
  const { code } = await importFile(gateway, rows(200, (i) => `${i % 2 ? 'Same' : 'SAME'}-${Math.ceil(i / 2)}@example.org`));
  assert.equal(code, 0);
  const order = gateway.accepted.map((id) => gateway.commands.get(id).body.email);
  for (let i = 1; i <= 100; i++) assert.ok(order.indexOf(`Same-${i}@example.org`) < order.indexOf(`SAME-${i}@example.org`), String(i));
}));

test('refusals are counted by code and written with their row', () => withGateway({
  outcome: ({ email }) =>
    email.startsWith('row-3@') ? { status: 'rejected', code: 'duplicate_email', errors: [{ field: 'email', code: 'duplicate_email', message: 'is taken' }] }
    : email.startsWith('row-5@') ? { status: 'failed' } : undefined,
}, async (gateway) => {
  const { code, report, stdout } = await importFile(gateway, rows(6) + 'too,few\r\nA,"B ""x"", y",row-8@example.org,,"two\nlines"\r\n');
  assert.equal(code, 0);
  assert.deepEqual(report, { rows: 8, accepted: 5, rejected: { duplicate_email: 1, failed: 1, wrong_column_count: 1 } });
  assert.match(stdout, /5 accepted/);
  const rejected = parseCsv(readFileSync(path.join(folder, 'rejected.csv'), 'utf8'));
  assert.deepEqual(rejected.map((row) => row.slice(0, 4)), [['row', 'code', 'field', 'message'], ['3', 'duplicate_email', 'email', 'is taken'],
    ['5', 'failed', '', rejected[2][3]], ['7', 'wrong_column_count', '', rejected[3][3]]]);
  assert.deepEqual(rejected[3].slice(4), ['too', 'few']);
  assert.equal([...gateway.commands.values()].find(({ body }) => body.email.startsWith('row-8')).body.notes, 'two\nlines');
}));

test('when nothing moves any more it gives up with 69, and says how many are open', () => withGateway({
  outcome: () => ({ status: 'pending' }),
}, async (gateway) => {
  const { code, report, stdout, stderr } = await importFile(gateway, rows(3), '--wait', '2');
  assert.equal(code, 69, stderr);
  assert.deepEqual(report, { rows: 3, accepted: 0, rejected: {} });
  assert.match(stdout, /3 without an outcome/);
}));

test('a command that the gateway does not know after its 202 is no success', () => withGateway({
  trouble: (kind) => kind === 'ask' && { status: 404 },
}, async (gateway) => {
  const { report } = await importFile(gateway, rows(2), '--wait', '100');
  assert.deepEqual(report, { rows: 2, accepted: 0, rejected: { outcome_unknown: 2 } });
}));

test('a user who may not send ends the import at once: 78', () => withGateway({ trouble: (kind) => kind === 'post' && { status: 403 } }, async (gateway) => {
  const { code, stderr } = await importFile(gateway, rows(3));
  assert.equal(code, 78, stderr);
}));

test('a gateway that is not there: 69', async () => {
  const gateway = await BusyGateway.start();
  gateway.stop();
  const { code } = await importFile(gateway, rows(3));
  assert.equal(code, 69);
});
