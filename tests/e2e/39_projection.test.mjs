// Deliveries as Event Grid may make them: early, doubled, in any order, unreadable; and rings that were not heard.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { call, Client } from './kit/client.mjs';
import { Installation } from './kit/installation.mjs';
import { eventually } from './kit/wait.mjs';
import { EventSocket } from './kit/websocket.mjs';

const it = { last: 0 };

before(async () => {
  it.installation = await Installation.start({ env: { EVENTS_POLL_SECONDS: '3600' } });
  it.demo = await Client.demo(it.installation);
  it.secret = readFileSync(path.join(it.installation.home, 'secrets/webhook'), 'utf8').trim();
  await it.demo.create({ firstName: 'Real', lastName: 'One', email: 'real@example.org' });
  it.last = 1;
});
after(() => it.installation?.stop());

const sql = (text) => execFileSync('sqlite3', ['-cmd', '.timeout 10000', path.join(it.installation.home, 'db/read.db'), text], { encoding: 'utf8' }).trim();
const held = () => Number(sql('SELECT prefix FROM projection_state'));

/** The event with this number: version 1 of a prospect of its own. */
const event = (sequence, more = {}) => ({
  specversion: '1.0', id: `01920000-0000-7000-8000-${String(sequence).padStart(12, '0')}`, type: 'ProspectCreated', source: '/services/ProspectService',
  time: '2026-11-23T10:20:30Z', datacontenttype: 'application/json', subject: `prospect/${1000000 + sequence}`, schemaversion: '1.0',
  correlationid: 'c', causationid: crypto.randomUUID(), tenantid: 'demo', issuedby: 'nobody', subjectversion: '1',
  sequence: String(sequence).padStart(19, '0'), watermark: '0'.repeat(19),
  data: { prospectId: 1000000 + sequence, firstName: 'Made', lastName: `Up${sequence}`, email: `up${sequence}@example.org`, version: 1 },
  ...more,
});

async function deliver(...events) {
  const { status, body } = await call(`${it.installation.projectionUrl}/api/events/webhook`, {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents-batch+json', 'x-events-webhook-secret': it.secret },
    body: JSON.stringify(events),
  });
  assert.equal(status, 200, String(body));
}

test('an early event is safe before its predecessor comes, over kill -9, too', async () => {
  await deliver(event(3), event(5));
  assert.equal(sql('SELECT group_concat(sequence) FROM waiting'), '3,5');
  assert.equal(held(), 1);
  await it.installation.kill('projection');
  await it.installation.run('projection');
  await deliver(event(2));
  assert.equal(held(), 3);
  assert.equal(sql('SELECT group_concat(sequence) FROM waiting'), '5');
});

test('doubled and in any order, each is applied once', async () => {
  await deliver(event(3), event(7), event(4), event(6), event(4), event(5), event(7));
  await deliver(event(6));
  assert.equal(held(), 7);
  assert.equal(sql('SELECT count(*) FROM waiting'), '0');
  assert.equal(sql('SELECT count(*) || max(version) FROM prospect_summary'), '71');
  assert.equal(sql('SELECT count(*) FROM replay_log'), '7');
  assert.equal((await it.demo.list()).length, 7);
});

test('what nobody can apply is a dead letter, and stops nobody', async () => {
  await deliver(event(8, { data: { prospectId: 0, firstName: 'No', lastName: 'Id', email: 'no@example.org', version: 1 } }), event(9), { specversion: '1.0', id: 'x' });
  assert.equal(held(), 9);
  const ctl = async (...args) => {
    const { code, stdout, stderr } = await it.installation.ctl('dead-letters', ...args);
    return { code, stdout: stdout.trim(), stderr };
  };
  const list = (await ctl('list', '--json')).stdout.split('\n').map((line) => JSON.parse(line));
  assert.equal(list.length, 2);
  const numbered = list.find((letter) => letter.eventType === 'ProspectCreated'), bare = list.find((letter) => letter !== numbered);
  assert.match(numbered.id, /^projection\/\d+$/);
  assert.match(numbered.reason, /data is no ProspectCreated/);
  assert.equal(JSON.parse((await ctl('show', numbered.id)).stdout).event.subject, 'prospect/1000008');
  assert.equal(JSON.parse((await ctl('show', bare.id)).stdout).event, null);
  for (const letter of list) {
    const again = await ctl('requeue', letter.id); // nothing has changed: it stays
    assert.equal(again.code, 64, again.stderr);
  }
  for (const letter of list) assert.equal((await ctl('discard', letter.id)).code, 0);
  assert.deepEqual((await ctl('list')).stdout, '');
  assert.equal((await ctl('show', numbered.id)).code, 69);
});

test('a ring that the gateway had no room for is repeated', async () => {
  const socket = await EventSocket.subscribe(it.demo);
  const gateway = it.installation.children.get('gateway');
  const room = Number(readFileSync('/proc/sys/net/unix/max_dgram_qlen', 'utf8'));
  const last = 9 + Math.min(room, 600) + 50;
  gateway.kill('SIGSTOP');
  try {
    for (let n = 10; n <= last; n++) await deliver(event(n)); // a commit and a ring each, to the projection alone
    assert.equal(held(), last);
  } finally {
    gateway.kill('SIGCONT');
  }
  await eventually('the last event, which the gateway reads from the log', () => socket.events.some((e) => e.sequence === last), 30000);
  socket.close();
});
