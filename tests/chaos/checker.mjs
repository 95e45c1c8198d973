// Compares what was promised with what is there. A history in, a list of faults out; nothing is read here.
//
// history: {
//   commands:    [{ commandId, kind, prospectId, body, expected, accepted, outcome: { status, code, subject } }], by writer, in order
//   write, read: [{ prospectId, version, firstName, lastName, email, phone, notes }]
//   outbox:      [{ eventId, sequence }]
//   log:         [{ eventId, sequence, type, subject, version, causationId }], ascending
//   subscribers: [{ events: [{ eventId, sequence, subject, version }], resyncs: [] }], as they came
// }

const FIELDS = ['version', 'firstName', 'lastName', 'email', 'phone', 'notes'];
const isProspect = (event) => event.subject.startsWith('prospect/') && event.version > 0;

function everyCommandHasItsOutcome({ commands }, fault) {
  for (const { commandId, accepted, expected, outcome } of commands) {
    const status = outcome?.status ?? 'pending';
    if (!accepted && status === 'unknown') continue; // it was never taken
    if (!['succeeded', 'rejected'].includes(status)) fault(`command ${commandId} was ${accepted ? '' : 'not '}accepted and is ${status}`);
    else if ((status === 'rejected' ? outcome.code : status) !== expected) fault(`command ${commandId} should be ${expected} and is ${outcome.code ?? status}`);
  }
}

/** The prospects that intents and outcomes make. */
function computeModel(commands) {
  const rows = new Map();
  for (const { kind, prospectId, body, outcome } of commands) {
    if (outcome?.status !== 'succeeded') continue;
    const id = kind === 'create' ? Number(outcome.subject.split('/')[1]) : prospectId;
    rows.set(id, { ...body, prospectId: id, version: (rows.get(id)?.version ?? 0) + 1 });
  }
  return rows;
}

function compareRows(name, rows, model, fault) {
  const there = new Map(rows.map((row) => [row.prospectId, row]));
  if (there.size !== rows.length) fault(`${name}: a prospect stands there twice`);
  for (const [id, wanted] of model) {
    const row = there.get(id);
    if (!row) fault(`${name}: prospect ${id} is missing`);
    for (const field of row ? FIELDS : [])
      if ((row[field] ?? '') !== wanted[field]) fault(`${name}: prospect ${id} has another ${field}`);
  }
  for (const id of there.keys()) if (!model.has(id)) fault(`${name}: prospect ${id} was never wanted`);
}

function modelsAreTheIntents({ commands, write, read }, fault) {
  const model = computeModel(commands);
  compareRows('write model', write, model, fault);
  compareRows('read model', read, model, fault);
}

function numbersAreDense({ log }, fault) {
  log.forEach(({ sequence }, i) => {
    if (sequence !== i + 1) fault(`the log has number ${sequence} in place ${i + 1}`);
  });
}

function everyEventHasItsRow({ log, outbox }, fault) {
  const rows = new Map(outbox.map((row) => [row.eventId, row]));
  const seen = new Set();
  for (const { eventId, sequence } of log) {
    if (seen.has(eventId)) fault(`event ${eventId} stands in the log twice`);
    seen.add(eventId);
    if (!rows.has(eventId)) fault(`event ${eventId} has no row in the outbox`);
    else if (rows.get(eventId).sequence !== sequence) fault(`event ${eventId} has two numbers`);
  }
  for (const { eventId } of outbox) if (!seen.has(eventId)) fault(`row ${eventId} of the outbox is not in the log`);
}

function everyCommandHasItsEvent({ commands, log }, fault) {
  const wanted = { succeeded: { create: 'ProspectCreated', update: 'ProspectUpdated' } };
  const caused = groupBy(log, (e) => e.causationId);
  for (const { commandId, kind, outcome } of commands) {
    const events = caused.get(commandId) ?? [];
    caused.delete(commandId);
    const type = outcome?.status === 'rejected' ? 'CommandRejected' : wanted[outcome?.status]?.[kind];
    if (type ? events.length !== 1 || events[0].type !== type : events.length) fault(`command ${commandId} is ${outcome?.status} and caused ${events.map((e) => e.type)}`);
  }
  for (const [cause, events] of caused) fault(`${events.length} events are of command ${cause}, which nobody sent`);
}

function groupBy(list, key) {
  const groups = new Map();
  for (const item of list) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}

function checkVersions(name, events, fault) {
  const last = new Map();
  for (const { subject, version } of events.filter(isProspect)) {
    if (version !== (last.get(subject) ?? 0) + 1) fault(`${name}: version ${version} of ${subject} follows version ${last.get(subject) ?? 0}`);
    last.set(subject, version);
  }
  return last;
}

function versionsAreContiguous({ log, write }, fault) {
  const last = checkVersions('log', log, fault);
  for (const { prospectId, version } of write)
    if (last.get(`prospect/${prospectId}`) !== version) fault(`prospect ${prospectId} has version ${version}, its last event ${last.get(`prospect/${prospectId}`)}`);
}

function subscribersSawEverything({ log, subscribers }, fault) {
  subscribers.forEach(({ events, resyncs }, i) => {
    const name = `subscriber ${i}`;
    const seen = new Set(events.map((e) => e.eventId));
    if (seen.size !== events.length) fault(`${name} took an event twice`);
    for (const { eventId, sequence } of log) if (!seen.has(eventId)) fault(`${name} lacks number ${sequence}`);
    if (events.length > log.length) fault(`${name} has events that are not in the log`);
    if (resyncs.length) fault(`${name} was told to reload`);
    checkVersions(name, events, fault);
  });
}

const CHECKS = [
  everyCommandHasItsOutcome, modelsAreTheIntents, numbersAreDense, everyEventHasItsRow, everyCommandHasItsEvent,
  versionsAreContiguous, subscribersSawEverything,
];

/** The faults, each as 'check: text'. */
export function check(history) {
  const faults = [];
  for (const one of CHECKS) one(history, (text) => faults.push(`${one.name}: ${text}`));
  return faults;
}
