// Imports on another engine than files: they have the outcome that they have on files, and what disturbs them in the
// middle loses nothing and doubles nothing.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Client } from './client.mjs';
import { parseCsv, writeCsv } from './csv.mjs';
import { ROOT } from './installation.mjs';
import { Subscriber } from './subscriber.mjs';
import { SHORT, eventually } from './wait.mjs';

export const LONG = !!process.env.EVENTS_LONG;

export class Imports {
  accepted = 0; // prospects that there must be
  #rounds = 0;

  /** rows: of each round, where the test is neither short nor long. */
  static async begin(installation, rows) {
    const it = new Imports();
    it.installation = installation;
    it.rows = SHORT ? 150 : LONG ? 3000 : rows;
    it.demo = await Client.demo(installation);
    it.subscriber = new Subscriber(it.demo);
    return it;
  }

  stop() {
    return this.subscriber.stop();
  }

  created() {
    return this.subscriber.events.filter((e) => e.eventType === 'ProspectCreated');
  }

  async run(file) {
    const { code, stdout, stderr } = await this.installation.ctl('import', file, '--json');
    assert.equal(code, 0, `${stderr}\n${stdout}\n${this.installation.logs()}`);
    return JSON.parse(stdout.trimEnd().split('\n').at(-1));
  }

  /** So many rows of the data set (all of it with --long), twice. */
  async dataSet(count) {
    const rows = parseCsv(gunzipSync(readFileSync(path.join(ROOT, 'tests/data/prospects.csv.gz'))).toString());
    if (!LONG) rows.length = count + 1; // and the header
    const file = path.join(this.installation.home, 'prospects.csv');
    writeFileSync(file, writeCsv(rows));
    const report = await this.run(file);
    if (LONG) {
      assert.deepEqual(report, JSON.parse(readFileSync(path.join(ROOT, 'tests/data/prospects.expected.json'), 'utf8')));
    } else {
      const faults = Object.values(report.rejected).reduce((a, b) => a + b, 0);
      assert.deepEqual({ rows: report.rows, accepted: report.accepted }, { rows: count, accepted: count - faults });
      for (const code of ['required', 'invalid_email', 'too_long', 'wrong_column_count']) assert.ok(report.rejected[code], code);
    }
    this.accepted = report.accepted;
    assert.deepEqual(await this.run(file), report, 'again: the same outcome, nothing changes');
    assert.equal((await this.demo.list()).length, this.accepted);
  }

  /** Rows with a known outcome: every 50th repeats the e-mail of the one before in capitals. */
  #makeFile() {
    const round = ++this.#rounds;
    let text = 'firstName,lastName,email,phone,notes\n', last = '', duplicates = 0;
    for (let i = 1; i <= this.rows; i++) {
      const again = i % 50 === 0;
      const email = again ? last.toUpperCase() : (last = `r${round}-${i}@example.org`);
      duplicates += again;
      text += `Round,Row${i},${email},,\n`;
    }
    const file = path.join(this.installation.home, `round-${round}.csv`);
    writeFileSync(file, text);
    return { file, expected: { rows: this.rows, accepted: this.rows - duplicates, rejected: { duplicate_email: duplicates } } };
  }

  /** Imports a file, and calls disturb() when a fifth of its rows has come through. */
  async round(disturb) {
    const { file, expected } = this.#makeFile();
    const had = this.created().length;
    let ended = false;
    const running = this.run(file).finally(() => (ended = true));
    await eventually('a fifth of the rows', () => ended || this.created().length >= had + this.rows / 5, 60000, 2);
    assert.equal(ended, false, 'it comes in the middle of the import');
    await disturb();
    assert.deepEqual(await running, expected);
    this.accepted += expected.accepted;
  }

  async nothingIsLostOrDoubled() {
    const list = await this.demo.list();
    assert.equal(list.length, this.accepted);
    assert.equal(new Set(list.map((row) => row.email.toLowerCase())).size, list.length, 'each e-mail once');
    await eventually('every creation', () => this.created().length >= this.accepted, 30000);
    assert.equal(this.created().length, this.accepted);
    const numbers = this.subscriber.events.map((e) => e.sequence).sort((a, b) => a - b);
    assert.equal(numbers.at(-1) - numbers[0] + 1, numbers.length, 'dense');
    assert.equal(new Set(numbers).size, numbers.length);
  }
}
