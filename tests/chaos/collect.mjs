// Reads everything that the checker compares: tables by the engines' own tools, the rest as any client would.
import { execFileSync } from 'node:child_process';
import path from 'node:path';

const PROSPECTS = 'SELECT prospect_id AS "prospectId", version, first_name AS "firstName", last_name AS "lastName", email, phone, notes FROM prospect';
const OUTBOX = 'SELECT o.event_id AS "eventId", n.sequence FROM outbox o LEFT JOIN numbered n ON n.outbox_id = o.outbox_id';

function sqlite(home, sql) {
  const file = (name) => path.join(home, 'db', name);
  const text = execFileSync('sqlite3', ['-readonly', '-json', file('write.db'), '-cmd', `ATTACH '${file('relay.db')}' AS relay`, sql], { maxBuffer: 1 << 28 });
  return text.length ? JSON.parse(text) : [];
}

function postgresql(postgres, sql) {
  return JSON.parse(postgres.sql('events', `SELECT coalesce(json_agg(t), '[]') FROM (${sql}) t`));
}

async function log(client) {
  const events = [];
  for (let after = '0'; ;) {
    const { status, headers, body } = await client.get(`/api/events?after=${after}&limit=200`);
    if (status !== 200) throw new Error(`GET /api/events: HTTP ${status} ${body}`);
    const page = JSON.parse(body);
    if (!page.length) return events;
    for (const e of page)
      events.push({ eventId: e.id, sequence: Number(e.sequence), type: e.type, subject: e.subject ?? '', version: Number(e.subjectversion ?? 0), causationId: e.causationid });
    after = headers['x-events-position'];
  }
}

export async function collect({ installation, postgres, client, writers, subscribers }) {
  const query = (sql) => (postgres ? postgresql(postgres, sql) : sqlite(installation.home, sql));
  const own = ({ prospectId, version, firstName, lastName, email, phone, notes }) =>
    ({ prospectId, version, firstName, lastName, email, phone: phone ?? '', notes: notes ?? '' });
  return {
    commands: writers.flatMap((writer) => writer.commands),
    write: query(PROSPECTS),
    read: (await client.list()).map(own),
    outbox: query(OUTBOX),
    log: await log(client),
    subscribers: subscribers.map(({ events, resyncs }) => ({
      resyncs,
      events: events.map(({ eventId, sequence, subject, subjectVersion }) => ({ eventId, sequence, subject, version: subjectVersion })),
    })),
  };
}
