// Personal data stays where it belongs. With debug logs and tracing on, the whole data set is imported, searched,
// doubled, refused and sent in bad bodies; then no name, address or phone number of it may stand in a log, a span, a
// metric, a subject, a dead letter's reason or the text of a refusal.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { call, Client, JSON_TYPE } from './kit/client.mjs';
import { Collector } from './kit/collector.mjs';
import { parseCsv, writeCsv } from './kit/csv.mjs';
import { Installation, PROGRAMS, ROOT } from './kit/installation.mjs';
import { eventually, SHORT } from './kit/wait.mjs';
import { EventSocket } from './kit/websocket.mjs';

const LEAST = 5; // letters: shorter names are parts of too many words
const PHONE_DIGITS = 8;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
// Times, UUIDs, trace and span ids: of so many, the digits of some are a phone number.
const RANDOM = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,9}Z|(?<![\w-])([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(00-)?[0-9a-f]{32}(-[0-9a-f]{16}-\d\d)?|[0-9a-f]{16})(?![\w-])/g;
const it = { refusals: [], output: '' };

const words = (text) => (text.toLowerCase().normalize('NFC').match(/[\p{L}\p{M}]+/gu) ?? []).filter((word) => word.length >= LEAST);

/** Every word of our own sources: a name that is one of them proves nothing. */
function ownWords() {
  const own = new Set();
  for (const folder of ['src', 'gateway', 'proto'])
    for (const file of readdirSync(path.join(ROOT, folder), { recursive: true }))
      if (/\.(c|h|proto)$/.test(file)) words(readFileSync(path.join(ROOT, folder, file), 'utf8')).forEach((word) => own.add(word));
  return own;
}

/** What must not be found: words of names, addresses (whole, and their domains), digits of phone numbers. */
class PersonalData {
  names = new Set();
  addresses = new Set();
  phones = new Set();

  constructor(rows) {
    const own = ownWords();
    for (const [first = '', last = '', email = '', phone = ''] of rows) {
      for (const word of words(`${first} ${last}`)) if (!own.has(word)) this.names.add(word);
      if (email.includes('@')) this.addresses.add(email.toLowerCase()), this.addresses.add(email.toLowerCase().split('@').pop());
      const digits = phone.replace(/\D/g, '');
      if (digits.length >= PHONE_DIGITS) this.phones.add(digits);
    }
  }

  /** What of it stands in a text, also where the text is percent-encoded or escaped as JSON does it. */
  found(text) {
    const plain = text.replace(RANDOM, ' ').replace(/(%[0-9a-f]{2})+/gi, (escapes) => Buffer.from(escapes.replaceAll('%', ''), 'hex').toString())
      .replace(/\\u([0-9a-f]{4})/gi, (_, code) => String.fromCharCode(parseInt(code, 16)));
    const lower = plain.toLowerCase();
    return [
      ...words(plain).filter((word) => this.names.has(word)),
      ...(lower.match(/[^\s"'<>(),;:=]+/g) ?? []).filter((part) => this.addresses.has(part)),
      ...(lower.match(/[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+\.[\p{L}\p{N}.-]+/gu) ?? []),
      ...(plain.match(/\d[\d ()+.-]*\d/g) ?? []).filter((run) => this.phones.has(run.replace(/\D/g, ''))),
    ];
  }
}

function assertClean(text, where) {
  const found = it.personal.found(text);
  if (!found.length) return;
  const line = text.split('\n').find((one) => it.personal.found(one).length) ?? '';
  assert.fail(`${where} holds ${[...new Set(found)].slice(0, 10).join(', ')}: ${line.slice(0, 300)}`);
}

before(async () => {
  it.collector = await Collector.start();
  it.installation = await Installation.start({ env: { EVENTS_LOG_LEVEL: 'debug', OTEL_EXPORTER_OTLP_ENDPOINT: it.collector.url } });
  it.demo = await Client.demo(it.installation);
  it.rows = parseCsv(gunzipSync(readFileSync(path.join(ROOT, 'tests/data/prospects.csv.gz'))).toString());
  if (SHORT) it.rows.length = 801;
  it.file = path.join(it.installation.home, 'prospects.csv');
  writeFileSync(it.file, writeCsv(it.rows));
  it.personal = new PersonalData(it.rows.slice(1));
  it.people = it.rows.slice(1).filter(([first, last, email]) => words(first).length && words(last).length && /^[^@]+@[^@.]+\.\w+$/.test(email));
});
after(() => it.installation?.stop().finally(() => it.collector.stop()));

/** Sends something that is refused, and keeps what the refusal says. */
async function refused(answer, what) {
  const { status, json } = await answer;
  assert.ok(status >= 400 && status < 500, `${what}: HTTP ${status}`);
  if (json) it.refusals.push(json.detail, json.title, ...(json.errors ?? []).map(({ code, message }) => `${code}: ${message}`));
}

test('the search for leaks finds what it must', () => {
  const [first, last, email] = it.people[0];
  const phone = it.rows.find((row) => /^\+\d{9,}$/.test(row[3] ?? ''))[3];
  for (const text of [`x ${first} y`, `"${last}"`, `?query=${encodeURIComponent(last)}`, `detail=(${email})`, `tel ${phone}.`, 'to new.person@example.org'])
    assert.ok(it.personal.found(text).length, text);
  assert.ok(it.personal.names.size > (SHORT ? 300 : 3000) && it.personal.addresses.size > 500);
  assert.deepEqual(it.personal.found('{"event":"command handled","us":1795479630123456,"subject":"prospect/12345"}'), []);
});

test('the whole data set is imported, and imported again', async () => {
  it.stream = await EventSocket.subscribe(it.demo, { id: 1, eventTypes: ['ProspectMerged'] }); // gets the refusals of its user besides
  for (const more of [[], ['--json']]) {
    const { code, stdout, stderr } = await it.installation.ctl('import', it.file, ...more);
    assert.equal(code, 0, stderr);
    it.output += stdout + stderr;
  }
});

test('searches, updates and duplicates', async () => {
  for (const [first, last, email] of it.people.slice(0, 40)) {
    for (const query of [first, last, email, `${first} ${last}`])
      assert.equal((await it.demo.get(`/api/prospects?query=${encodeURIComponent(query)}`)).status, 200);
    await refused(it.demo.get(`/api/prospects?query=${encodeURIComponent(last)}&cursor=${encodeURIComponent(email)}`), 'cursor');
    await refused(it.demo.get(`/api/prospects?sort=${encodeURIComponent(last)}&limit=${encodeURIComponent(first)}`), 'sort');
  }
  const { json } = await it.demo.get('/api/prospects?limit=20');
  for (const { prospectId, firstName, lastName, email } of json.items.slice(0, 10)) {
    const again = await it.demo.create({ firstName, lastName, email });
    assert.equal(again.code, 'duplicate_email');
    it.refusals.push(JSON.stringify(again));
    const stale = await it.demo.send('PUT', `/api/prospects/${prospectId}`, { firstName, lastName, email }, { 'if-match': '"999"' });
    it.refusals.push(JSON.stringify(await it.demo.outcome(stale.json.commandId)));
  }
});

test('bad bodies, bad paths and bad credentials', async () => {
  for (const [first, last, email] of it.people.slice(40, 60)) {
    const body = { firstName: first, lastName: last, email };
    const bodies = [
      JSON.stringify(body).slice(0, -3), JSON.stringify({ ...body, email: `${first} at ${last}` }), JSON.stringify({ ...body, firstName: [first] }),
      JSON.stringify({ ...body, phone: last }), JSON.stringify({ ...body, [last]: first }), `{"firstName":"${first}","firstName":"${last}"}`,
      JSON.stringify({ ...body, firstName: first.repeat(60) }), JSON.stringify({ ...body, lastName: `${last}\u0007` }), JSON.stringify([first, last]),
      JSON.stringify({ ...body, commandId: last }), `{"firstName":"${first}\\ud800"}`, Buffer.concat([Buffer.from(`{"firstName":"${first}`), Buffer.from([0xff])]),
    ];
    for (const bad of bodies) await refused(it.demo.post('/api/prospects', bad), String(bad));
    await refused(it.demo.post('/api/prospects', Buffer.from(`\x0a\x7f${first} ${last}`), { 'content-type': 'application/x-protobuf' }), 'protobuf');
    await refused(it.demo.post(`/api/commands/${encodeURIComponent(last)}`, body), 'command');
    await refused(it.demo.get(`/api/prospects/${encodeURIComponent(last)}`), 'path');
    await refused(it.demo.get(`/api/${encodeURIComponent(first)}/${encodeURIComponent(email)}?${encodeURIComponent(last)}=1`), 'unknown path');
    await refused(it.demo.get(`/api/commands/${encodeURIComponent(email)}`), 'command id');
    await refused(call(`${it.demo.url}/api/auth/login`, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ username: email, password: last }) }), 'login');
    await refused(call(`${it.demo.url}/api/prospects`, { headers: { authorization: `Bearer ${Buffer.from(email).toString('base64url')}.x.y` } }), 'token');
  }
});

test('events that nobody can read, and frames that are none', async () => {
  const secret = readFileSync(path.join(it.installation.home, 'secrets/webhook'), 'utf8').trim();
  const events = it.people.slice(60, 80).flatMap(([first, last, email], i) => {
    const event = { specversion: '1.0', id: `bad-${i}`, source: '/services/ProspectService', type: 'ProspectCreated', subject: `prospect/${i}`, data: { firstName: first } };
    return [{ ...event, time: last }, { ...event, sequence: email }, { ...event, data: { firstName: [last] } }, { ...event, data: email }, { ...event, data: { prospectId: first } }, { ...event, id: 7 }];
  });
  for (const url of [it.installation.plainUrl, it.installation.projectionUrl])
    for (const body of [JSON.stringify(events), JSON.stringify(events).slice(0, -9)])
      await call(`${url}/api/events/webhook`, { method: 'POST', body, headers: { 'content-type': 'application/cloudevents-batch+json', 'x-events-webhook-secret': secret } })
        .then(({ json }) => json && it.refusals.push(json.detail));
  const [first, last] = it.people[0];
  const socket = await EventSocket.open(it.demo);
  socket.send({ subscribe: { id: 1, subjects: [`prospect/${last}`], eventTypes: [first], epoch: last } });
  socket.send({ subscribe: { id: 1, subjects: [`${first} ${last}`.repeat(100)] } });
  it.refusals.push(JSON.stringify((await socket.frame('error')).error));
  socket.ws.send(Buffer.from(`\x0a\x7f${first} ${last}`));
  await eventually('the end of the connection', () => socket.ws.closed);
  it.refusals.push(socket.ws.closed.reason);
});

test('a database that refuses a row', async () => {
  const file = path.join(it.installation.home, 'db/write.db');
  const run = (sql) => execFileSync('sqlite3', ['-cmd', '.timeout 5000', file, sql]);
  const [first, last] = it.people[1], email = `${first.length}.${last.length}.refused@example.org`.toLowerCase();
  run(`CREATE TRIGGER refusal BEFORE INSERT ON prospect WHEN NEW.email = '${email}' BEGIN INSERT INTO command_done SELECT * FROM command_done LIMIT 1; END`);
  const { json } = await it.demo.post('/api/prospects', { firstName: first, lastName: last, email });
  const outcome = await eventually('the dead letter', async () => {
    const { json: now } = await it.demo.get(`/api/commands/${json.commandId}`);
    return now.status !== 'pending' && now;
  });
  run('DROP TRIGGER refusal');
  assert.equal(outcome.status, 'failed');
  it.refusals.push(JSON.stringify(outcome));
  it.personal.addresses.add(email);
  const log = readFileSync(path.join(it.installation.home, 'logs/prospects.log'), 'utf8');
  assert.match(log, /database: HY000\/\d+, constraint command_done\.\w+/, 'state, native code and constraint are told');
});

test('no refusal quotes a value', () => {
  assert.ok(it.refusals.length > 200);
  assertClean(it.refusals.filter(Boolean).join('\n'), 'a refusal');
  assertClean(it.output, "the import's own output");
});

test('no log has any of it', () => {
  const folder = path.join(it.installation.home, 'logs');
  for (const name of readdirSync(folder)) assertClean(readFileSync(path.join(folder, name), 'utf8'), name);
  for (const program of ['gateway', 'prospects', 'relay', 'projection'])
    assert.match(readFileSync(path.join(folder, `${program}.log`), 'utf8'), /"level":"debug"/, `${program} wrote debug logs`);
});

test('no span has any of it', async () => {
  const steps = {
    'events-gateway': ['POST /api/prospects', 'GET /api/prospects', 'GET /api/prospects/{}', 'enqueue identity-commands', 'push prospect-events'],
    'events-prospects': ['process identity-commands', 'COMMIT'],
    'events-relay': ['publish prospect-events'],
    'events-grid': ['deliver prospect-events'],
    'events-projection': ['process prospect-events', 'COMMIT'],
  };
  const has = (service, name) => it.collector.spans().some((span) => span.service === service && span.name === name);
  for (const [service, names] of Object.entries(steps))
    for (const name of names) await eventually(`${name} of ${service}`, () => has(service, name));
  const said = new Set();
  for (const { name, message, attributes } of it.collector.spans())
    for (const text of [name, message, ...Object.entries(attributes).flat()]) if (typeof text === 'string' && !UUID.test(text)) said.add(text);
  it.collector.resources.forEach((resource) => Object.entries(resource).flat().forEach((text) => said.add(text)));
  assertClean([...said].join('\n'), 'a span');
  assert.ok(it.collector.spans().length > 5000, `${it.collector.spans().length} spans`);
  it.stream.close();
});

test('no metric has any of it', async () => {
  for (const program of PROGRAMS) {
    const { status, body } = await call(`http://${it.installation.admin[program]}/metrics`);
    assert.equal(status, 200, program);
    assertClean(body.toString(), `/metrics of ${program}`);
  }
});

test('no attribute of an event has any of it, nor has any CommandRejected', async () => {
  let after_ = 0, seen = 0, rejected = 0;
  for (;;) {
    const { json, headers } = await it.demo.get(`/api/events?after=${after_}&limit=1000`);
    for (const { data, ...attributes } of json) {
      assertClean(JSON.stringify(attributes), attributes.id);
      if (attributes.type === 'CommandRejected') rejected++, assertClean(JSON.stringify(data), attributes.id);
    }
    seen += json.length;
    if (Number(headers['x-events-position']) <= after_ || !json.length) break;
    after_ = Number(headers['x-events-position']);
  }
  assert.ok(seen > (SHORT ? 700 : 9000) && rejected >= 20, `${seen} events, ${rejected} rejected`);
});

test('no reason of a dead letter has any of it', () => {
  let reasons = 0;
  const sqlite = (file, sql) => execFileSync('sqlite3', ['-readonly', '-cmd', '.timeout 5000', file, sql], { maxBuffer: 64 << 20 }).toString();
  for (const name of readdirSync(path.join(it.installation.home, 'db')).filter((one) => one.endsWith('.db'))) {
    const file = path.join(it.installation.home, 'db', name);
    const columns = sqlite(file, "SELECT m.name || ' ' || c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name IN ('reason', 'last_outcome', 'subject', 'dedupe_key', 'errors', 'code')");
    for (const [table, column] of columns.trim().split('\n').filter(Boolean).map((line) => line.split(' '))) {
      const values = sqlite(file, `SELECT "${column}" FROM "${table}"`);
      if (column === 'reason') reasons += values.split('\n').filter(Boolean).length;
      assertClean(values, `${name}, ${table}.${column}`);
    }
  }
  assert.ok(reasons > 0, 'there are dead letters');
});
