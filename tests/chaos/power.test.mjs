// Loss of power: all programs die at once, and of their files there is what had been synced (power.c), no more. Nothing
// that was answered 202 may be missing afterwards, and everything else must fit together as after any crash.
//
// A moment before the cut the prospect service is stopped, so that there are commands that are accepted and not done.
// That this can fail is shown by a disk that lies: the queue's syncs save nothing, and the checker must say so.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Client } from '../e2e/kit/client.mjs';
import { BUILD, Installation, PROGRAMS } from '../e2e/kit/installation.mjs';
import { Postgres } from '../e2e/kit/postgres.mjs';
import { Subscriber } from '../e2e/kit/subscriber.mjs';
import { eventually, sleep } from '../e2e/kit/wait.mjs';
import { check } from './checker.mjs';
import { collect } from './collect.mjs';
import { Writer } from './writers.mjs';

const LIBRARY = path.join(BUILD, 'chaos', 'libchaos_power.so');
const SEED = Number(process.env.EVENTS_SEED ?? 1), WRITERS = 4, RUNS_MS = 700, STOPPED_MS = 300;
const LONG = { skip: !process.env.EVENTS_LONG && 'EVENTS_LONG=1' };

class Site {
  shadow = mkdtempSync(path.join(tmpdir(), 'events-power-'));
  writers = [];
  subscribers = [];

  static async open(options) {
    const it = new Site();
    try {
      await it.#open(options ?? {});
      return it;
    } catch (error) {
      await it.close().catch(() => {});
      throw error;
    }
  }

  async #open({ lies = '', engine = 'sqlite' }) {
    const env = { EVENTS_POLL_SECONDS: '1', LD_PRELOAD: LIBRARY, POWER_LIES: lies };
    if (engine === 'postgresql') {
      this.postgres = await Postgres.startWith([], 'events');
      await this.postgres.savesBy(LIBRARY);
      env.EVENTS_WRITE_DB = env.EVENTS_READ_DB = this.postgres.url('events');
    }
    mkdirSync(path.join(this.shadow, 'db'));
    this.installation = await Installation.start({
      env,
      configured: ({ home, env: all }) => Object.assign(all, { POWER_ROOT: path.join(home, 'db'), POWER_SHADOW: path.join(this.shadow, 'db') }),
    });
    this.client = await Client.demo(this.installation);
    this.subscribers.push(new Subscriber(this.client));
    for (let i = 0; i < WRITERS; i++) this.writers.push(new Writer(this.client, SEED, i));
  }

  async cut() {
    await sleep(RUNS_MS);
    this.installation.children.get('prospects').kill('SIGSTOP');
    await sleep(STOPPED_MS);
    const waiting = this.writers.filter(({ commands }) => commands.at(-1)?.accepted && !commands.at(-1).outcome).length;
    await Promise.all(PROGRAMS.map((program) => this.installation.kill(program)));
    const db = path.join(this.installation.home, 'db');
    rmSync(db, { recursive: true });
    cpSync(path.join(this.shadow, 'db'), db, { recursive: true });
    if (this.postgres) await this.postgres.cut();
    return waiting;
  }

  start() {
    return Promise.all(PROGRAMS.map((program) => this.installation.run(program)));
  }

  async faults(patience) {
    for (const writer of this.writers) writer.running = false;
    await Promise.all(this.writers.map((writer) => writer.done));
    const open = () => this.writers.flatMap((w) => w.commands.filter((c) => !c.outcome).map((c) => w.ask(c)));
    await eventually('every outcome', async () => (await Promise.all(open())).length === 0, patience, 50);
    const head = async () => Number((await this.client.get('/api/prospects?limit=1')).headers['x-events-position']);
    await eventually('the subscriber', async () => this.subscribers[0].position >= (await head()), patience, 50);
    return check(await collect(this));
  }

  async close() {
    for (const writer of this.writers) writer.running = false;
    for (const s of this.subscribers) await s.stop();
    try {
      await this.installation?.stop();
    } finally {
      await this.postgres?.stop();
      rmSync(this.shadow, { recursive: true, force: true });
    }
  }
}

async function cuts(t, times, options) {
  const site = await Site.open(options);
  try {
    for (let i = 0; i < times; i++) {
      const waiting = await site.cut();
      t.diagnostic(`cut ${i + 1}: ${waiting} commands were accepted and not done`);
      await site.start();
    }
    await sleep(300);
    const faults = await site.faults(30000);
    t.diagnostic(`${site.writers.flatMap((w) => w.commands).length} commands`);
    return faults;
  } catch (error) {
    error.message += `\n${site.installation.logs()}`;
    throw error;
  } finally {
    await site.close();
  }
}

const HERE = { skip: !existsSync(LIBRARY) && 'a build with sanitizers has no preload' };
test('the power is cut: nothing accepted is lost', HERE, async (t) => assert.deepEqual(await cuts(t, 1), []));

test('on a disk that lies the checker finds what is lost', HERE, async (t) => {
  const faults = await cuts(t, 1, { lies: '/queue' });
  t.diagnostic(faults[0]);
  assert.ok(faults.some((fault) => /was accepted and is unknown/.test(fault)), `found: ${faults}`);
});

test('twenty cuts', { ...LONG, timeout: 600000 }, async (t) => assert.deepEqual(await cuts(t, 20), []));
test('PostgreSQL, cut five times', { ...LONG, timeout: 600000 }, async (t) => assert.deepEqual(await cuts(t, 5, { engine: 'postgresql' }), []));
