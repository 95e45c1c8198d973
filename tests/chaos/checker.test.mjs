// The checker itself: a good history has no fault, and every planted one is found, by the check that is there for it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check } from './checker.mjs';
import { makeSchedule } from './schedule.mjs';

const row = (id, version, lastName) => ({ prospectId: id, version, firstName: 'Ada', lastName, email: `p${id}@example.org`, phone: '', notes: '' });
const body = (id, lastName) => ({ firstName: 'Ada', lastName, email: `p${id}@example.org`, phone: '', notes: '' });

/** Two prospects, one of them changed twice, a duplicate e-mail, a stale version, a command that was given up. */
function good() {
  const done = (subject) => ({ status: 'succeeded', subject });
  const commands = [
    { commandId: 'c1', kind: 'create', body: body(1, 'One'), expected: 'succeeded', accepted: true, outcome: done('prospect/1') },
    { commandId: 'c2', kind: 'create', body: body(2, 'Two'), expected: 'succeeded', accepted: true, outcome: done('prospect/2') },
    { commandId: 'c3', kind: 'update', prospectId: 1, body: body(1, 'Three'), expected: 'succeeded', accepted: true, outcome: done('prospect/1') },
    { commandId: 'c4', kind: 'create', body: body(1, 'Four'), expected: 'duplicate_email', accepted: true, outcome: { status: 'rejected', code: 'duplicate_email' } },
    { commandId: 'c5', kind: 'update', prospectId: 1, body: body(1, 'Five'), expected: 'succeeded', accepted: true, outcome: done('prospect/1') },
    { commandId: 'c6', kind: 'update', prospectId: 2, body: body(2, 'Six'), expected: 'version_conflict', accepted: true, outcome: { status: 'rejected', code: 'version_conflict' } },
    { commandId: 'c7', kind: 'create', body: body(3, 'Seven'), expected: 'succeeded', accepted: false, outcome: { status: 'unknown' } },
  ];
  const event = (sequence, type, subject, version, causationId) => ({ eventId: `e${sequence}`, sequence, type, subject, version, causationId });
  const log = [
    event(1, 'ProspectCreated', 'prospect/1', 1, 'c1'), event(2, 'ProspectCreated', 'prospect/2', 1, 'c2'),
    event(3, 'ProspectUpdated', 'prospect/1', 2, 'c3'), event(4, 'CommandRejected', 'command/c4', 0, 'c4'),
    event(5, 'ProspectUpdated', 'prospect/1', 3, 'c5'), event(6, 'CommandRejected', 'prospect/2', 0, 'c6'),
  ];
  const rows = () => [row(1, 3, 'Five'), row(2, 1, 'Two')];
  return {
    commands, log, write: rows(), read: rows(),
    outbox: log.map(({ eventId, sequence }) => ({ eventId, sequence })),
    subscribers: [{ events: [...log], resyncs: [] }, { events: [log[1], log[0], ...log.slice(2)], resyncs: [] }],
  };
}

const renumber = (log) => log.forEach((event, i) => (event.sequence = i + 1));
const FAULTS = [
  ['an accepted command is lost', 'everyCommandHasItsOutcome', (h) => (h.commands[0].outcome = { status: 'unknown' })],
  ['an accepted command waits for ever', 'everyCommandHasItsOutcome', (h) => (h.commands[2].outcome = undefined)],
  ['a command in the dead letters', 'everyCommandHasItsOutcome', (h) => (h.commands[2].outcome = { status: 'failed' })],
  ['a duplicate e-mail that was taken', 'everyCommandHasItsOutcome', (h) => (h.commands[3].outcome = { status: 'succeeded', subject: 'prospect/9' })],
  ['a good command that was rejected', 'everyCommandHasItsOutcome', (h) => (h.commands[4].outcome = { status: 'rejected', code: 'version_conflict' })],
  ['a prospect is lost', 'modelsAreTheIntents', (h) => h.write.pop()],
  ['a prospect twice', 'modelsAreTheIntents', (h) => h.read.push(h.read[0])],
  ['a prospect that nobody wanted', 'modelsAreTheIntents', (h) => h.write.push(row(9, 1, 'Nine'))],
  ['a lost update', 'modelsAreTheIntents', (h) => (h.write[0] = row(1, 3, 'Three'))],
  ['an update done twice', 'modelsAreTheIntents', (h) => (h.write[0].version = 4)],
  ['a read model that is behind', 'modelsAreTheIntents', (h) => (h.read[0] = row(1, 2, 'Three'))],
  ['a number is missing', 'numbersAreDense', (h) => h.log.splice(3, 1)],
  ['a number twice', 'numbersAreDense', (h) => (h.log[3].sequence = 3)],
  ['a lost event', 'everyEventHasItsRow', (h) => (h.log.splice(2, 1), renumber(h.log))],
  ['a doubled event', 'everyEventHasItsRow', (h) => (h.log.push({ ...h.log[4] }), renumber(h.log))],
  ['an event without its row', 'everyEventHasItsRow', (h) => h.outbox.shift()],
  ['an event under two numbers', 'everyEventHasItsRow', (h) => (h.outbox[2].sequence = 9)],
  ['a change without its event', 'everyCommandHasItsEvent', (h) => (h.log[2].causationId = 'c1')],
  ['an event of a command that nobody sent', 'everyCommandHasItsEvent', (h) => h.log.push({ ...h.log[5], eventId: 'e7', sequence: 7, causationId: 'c99' })],
  ['an event of another kind', 'everyCommandHasItsEvent', (h) => (h.log[3].type = 'ProspectCreated')],
  ['reordered events of a subject', 'versionsAreContiguous', (h) => ([h.log[2].version, h.log[4].version] = [3, 2])],
  ['a gap in the versions', 'versionsAreContiguous', (h) => (h.log[4].version = 4)],
  ['an entity ahead of its events', 'versionsAreContiguous', (h) => (h.write[1].version = 2)],
  ['a subscriber lacks an event', 'subscribersSawEverything', (h) => h.subscribers[0].events.splice(3, 1)],
  ['a subscriber lacks the last event', 'subscribersSawEverything', (h) => h.subscribers[1].events.pop()],
  ['a subscriber got one twice', 'subscribersSawEverything', (h) => h.subscribers[0].events.push(h.subscribers[0].events[5])],
  ['a subscriber got a subject in disorder', 'subscribersSawEverything', (h) => h.subscribers[0].events.reverse()],
  ['a subscriber was told to reload', 'subscribersSawEverything', (h) => h.subscribers[0].resyncs.push('too_old')],
];

test('a good history has no fault', () => assert.deepEqual(check(good()), []));
for (const [name, finder, plant] of FAULTS)
  test(`found: ${name}`, () => {
    const history = structuredClone(good());
    plant(history);
    assert.ok(check(history).some((fault) => fault.startsWith(`${finder}:`)), `${finder} finds it; found: ${check(history)}`);
  });

test('a seed makes one schedule, another seed another one', () => {
  const make = (seed) => makeSchedule(seed, 60000, ['disk', 'clock']);
  assert.deepEqual(make(7), make(7));
  assert.notDeepEqual(make(7), make(8));
  assert.ok(make(7).length > 20);
  for (const { at, for: lasts } of make(7)) assert.ok(at > 0 && at + lasts <= 60000);
});
