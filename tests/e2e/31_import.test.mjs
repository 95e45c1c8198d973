// The import of the data set: 10,000 rows in twenty languages with seven kinds of faults, reported exactly.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Client } from './kit/client.mjs';
import { parseCsv, writeCsv } from './kit/csv.mjs';
import { Installation, ROOT } from './kit/installation.mjs';
import { SHORT } from './kit/wait.mjs';

const DATA = path.join(ROOT, 'tests/data');
const it = {};

before(async () => {
  it.installation = await Installation.start();
  it.demo = await Client.demo(it.installation);
  const bytes = gunzipSync(readFileSync(path.join(DATA, 'prospects.csv.gz')));
  it.rows = parseCsv(bytes.toString());
  it.file = path.join(it.installation.home, 'prospects.csv');
  if (SHORT) it.rows.length = 801;
  writeFileSync(it.file, SHORT ? writeCsv(it.rows) : bytes);
});
after(() => it.installation?.stop());

async function runImport(...more) {
  const { code, stdout, stderr } = await it.installation.ctl('import', it.file, '--json', ...more);
  assert.equal(code, 0, `${stderr}\n${stdout}`);
  return { report: JSON.parse(stdout.trimEnd().split('\n').at(-1)), stdout, stderr };
}

const sum = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);

test('the report is the expected one', async () => {
  const { report, stdout } = await runImport();
  assert.deepEqual(Object.keys(report), ['rows', 'accepted', 'rejected']);
  if (SHORT) {
    assert.equal(report.rows, 800);
    assert.equal(report.accepted + sum(report.rejected), 800);
    for (const code of ['required', 'invalid_email', 'too_long', 'wrong_column_count']) assert.ok(report.rejected[code], code);
  } else {
    assert.deepEqual(report, JSON.parse(readFileSync(path.join(DATA, 'prospects.expected.json'), 'utf8')));
  }
  assert.match(stdout, new RegExp(`${report.accepted} accepted`));
  it.report = report;
});

test('the rejected rows stand in a CSV, in order, with reason and original columns', () => {
  const [header, ...rows] = parseCsv(readFileSync(`${it.file}.rejected.csv`, 'utf8'));
  assert.deepEqual(header, ['row', 'code', 'field', 'message', ...it.rows[0]]);
  const counts = {};
  let last = 0;
  for (const [row, code, field, message, ...original] of rows) {
    counts[code] = (counts[code] ?? 0) + 1;
    assert.ok(Number(row) > last);
    last = Number(row);
    assert.deepEqual(original, it.rows[last]);
    assert.ok(message, `row ${row} has a message`);
    assert.ok(field || code === 'wrong_column_count', `row ${row}: ${code} names its field`);
  }
  assert.deepEqual(counts, it.report.rejected);
});

test('the list holds each accepted row once, as it was written', async () => {
  it.list = await it.demo.list();
  assert.equal(it.list.length, it.report.accepted);
  const rejected = new Set(parseCsv(readFileSync(`${it.file}.rejected.csv`, 'utf8')).slice(1).map(([row]) => Number(row)));
  const form = (fields) => JSON.stringify(fields.map((text) => (text ?? '').normalize('NFC').trim()));
  const wanted = it.rows.slice(1).filter((_, i) => !rejected.has(i + 1)).map((row) => form([...row.slice(0, 4)])).sort();
  const got = it.list.map((p) => form([p.firstName, p.lastName, p.email, p.phone])).sort();
  assert.deepEqual(got, wanted);
  assert.ok(it.list.every((p) => p.version === 1));
});

test('the same import again has the same outcome and changes nothing', async () => {
  const { report } = await runImport();
  assert.deepEqual(report.rejected, it.report.rejected);
  assert.deepEqual(report, it.report);
  assert.deepEqual(await it.demo.list(), it.list);
});

test('over the plain port as over TLS', async () => {
  const { report } = await runImport('--url', it.installation.plainUrl);
  assert.deepEqual(report, it.report);
});

test('a header that is wrong is said clearly, and nothing is sent', async () => {
  const file = path.join(it.installation.home, 'wrong.csv');
  for (const [header, text] of [['firstName,lastName,email,phone', /lacks the column notes/], ['a,b', /column 1 of the header/], ['', /is empty/]]) {
    writeFileSync(file, header && `${header}\nA,B,c@example.org,\n`);
    const { code, stderr } = await it.installation.ctl('import', file);
    assert.equal(code, 64);
    assert.match(stderr, text);
  }
});

test('a wrong password is exit 78, a gateway that is not there 69', async () => {
  const wrong = await it.installation.ctlWith({ input: 'wrong\n' }, 'import', it.file, '--password-stdin');
  assert.equal(wrong.code, 78, wrong.stderr);
});
