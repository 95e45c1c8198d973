// RabbitMQ is killed under three gateways that it feeds, and comes back; commands go on meanwhile. Whoever follows the
// events has all of them in the end, in order, over the connection that it had before. In the long form the broker is
// also killed as soon as it is back, and frozen; it holds the commands, too; and the projection is fed by webhook.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call } from './kit/client.mjs';
import { eventsClient } from './kit/events_client.mjs';
import { Gateways } from './kit/gateways.mjs';
import { LONG } from './kit/imports.mjs';
import { grpcClient, metadata } from './kit/rpc.mjs';
import { EventStream } from './kit/sse.mjs';
import { eventually, sleep } from './kit/wait.mjs';
import { EventSocket } from './kit/websocket.mjs';

const WRITERS = 3, PROSPECTS = 20, PAUSE_MS = 60;
const person = (n, notes = '') => ({ firstName: 'Out', lastName: 'Age', email: `outage-${n}@example.org`, notes });

/** One of each kind at one gateway. events(): what it was given; lives(): over its first connection. */
async function subscribers(client, { position, epoch }) {
  const socket = await EventSocket.subscribe(client, { after: position, epoch });
  const sse = await EventStream.open(client, `?after=${position}`);

  const rpc = grpcClient('events.v1.EventStream', new URL(client.url).host), watched = { events: [] };
  const request = { subscribe: { id: 1, resume: { case: 'after', value: BigInt(position) }, epoch } };
  rpc.subscribe(request, metadata(client.authorization))
    .on('data', ({ frame }) => frame.case === 'events' && watched.events.push(...frame.value.events))
    .on('status', (status) => (watched.ended = status))
    .on('error', () => {});

  const library = eventsClient(client), got = [];
  library.subscribe({ start: { after: BigInt(position), epoch }, onEvent: (event) => got.push({ ...event, subjectVersion: event.version }) });
  return [
    { kind: 'WebSocket', socket, events: () => socket.events, lives: () => !socket.ws.closed, stop: () => socket.close() },
    { kind: 'SSE', events: () => sse.events, lives: () => !sse.ended, stop: () => sse.close() },
    { kind: 'gRPC', events: () => watched.events, lives: () => !watched.ended, stop: () => rpc.close() },
    { kind: 'EventsClient', once: true, events: () => got, stop: () => library.stop(),
      lives: () => library.phases.join() === 'connecting,live' && !library.errors.length },
  ];
}

/** What is wrong with what one was given: every number from the first to the head, each subject's versions in order. */
function faults({ kind, once, events, socket, lives }, { position, versions }, head) {
  const told = [], ids = new Set(), numbers = new Set(), last = new Map(versions);
  for (const { eventId, sequence, subject, subjectVersion } of events()) {
    if (ids.has(eventId)) {
      if (once) told.push(`${sequence} came twice`);
      continue;
    }
    ids.add(eventId);
    numbers.add(Number(sequence));
    const version = Number(subjectVersion), before = last.get(subject) ?? 0;
    if (version !== before + 1) told.push(`${subject}: ${version} after ${before}`);
    last.set(subject, version);
  }
  for (let n = position + 1; n <= head; n++) if (!numbers.has(n)) told.push(`${n} is missing`);
  if (socket) told.push(...promises(socket, position));
  if (!lives()) told.push('its connection has ended');
  return told.map((fault) => `${kind}: ${fault}`);
}

/** A position says that all up to it has been given: true of each at the moment when it came? */
function promises({ frames }, from) {
  const numbers = new Set(), told = [];
  let whole = from;
  for (const { events } of frames) {
    if (!events) continue;
    for (const { sequence } of events.events) numbers.add(sequence);
    while (numbers.has(whole + 1)) whole++;
    if (events.position > whole) told.push(`position ${events.position} was told while ${whole + 1} was missing`);
  }
  return told;
}

/** An installation under load, and those who follow it. */
class Scene {
  accepted = []; // ids of the commands
  refused = 0;
  #made = 0;
  #over = false;

  static async set(options) {
    const it = new Scene();
    it.gateways = await Gateways.start(options);
    try {
      it.everywhere = await it.gateways.client();
      await it.#people();
      const clients = await Promise.all(it.gateways.names.map((name) => it.gateways.client(name)));
      it.all = (await Promise.all(clients.map((client) => subscribers(client, it.begin)))).flat();
      it.children = it.gateways.names.map((name) => it.gateways.installation.children.get(name));
      await it.attached();
      return it;
    } catch (error) {
      await it.strike().catch(() => {});
      throw error;
    }
  }

  /** Those whom the writers change, and where everyone begins to follow. */
  async #people() {
    await Promise.all(Array.from({ length: PROSPECTS }, () => this.#send('POST', '/api/prospects', person(++this.#made))));
    await this.#settled();
    this.begun = this.accepted.length;
    const { json, headers } = await this.everywhere.get('/api/prospects?limit=200');
    this.ids = json.items.map((row) => row.prospectId);
    const versions = json.items.map((row) => [`prospect/${row.prospectId}`, row.version]);
    this.begin = { position: Number(headers['x-events-position']), epoch: headers['x-events-epoch'], versions };
  }

  /** With the same command id until it is accepted. */
  async #send(method, path, body) {
    const command = { ...body, commandId: crypto.randomUUID() };
    for (;;) {
      const reply = await this.everywhere.send(method, path, command, { 'if-match': '*' });
      if (reply.status === 202) return this.accepted.push(command.commandId);
      assert.equal(reply.status, 503, `${reply.body}`);
      this.refused++;
      await sleep(100);
    }
  }

  async #position() {
    return Number((await this.everywhere.get('/api/prospects?limit=1')).headers['x-events-position']);
  }

  /** Each command has made one event, and each has succeeded. Where the log ends. */
  async #settled() {
    const from = this.begin?.position ?? 0, count = this.accepted.length - (this.begun ?? 0);
    await eventually('all commands to be worked off', async () => {
      const done = await this.#position() - from;
      return done >= count || Promise.reject(new Error(`${done} of ${count}`));
    }, 120000, 100);
    for (let i = 0; i < this.accepted.length; i += 8) { // one after the other would last, all at once be a flood
      const some = this.accepted.slice(i, i + 8).map((id) => this.everywhere.outcome(id));
      for (const { status } of await Promise.all(some)) assert.equal(status, 'succeeded');
    }
    const head = await this.#position();
    assert.equal(head - from, count, 'an event for each command, and no more');
    return head;
  }

  write() {
    const writer = async () => {
      for (let i = 0; !this.#over; i++) {
        if (i % 8 === 7) await this.#send('POST', '/api/prospects', person(++this.#made));
        else {
          const at = Math.floor(Math.random() * PROSPECTS);
          await this.#send('PUT', `/api/prospects/${this.ids[at]}`, person(`of-${this.ids[at]}`, `${i} ${Math.random()}`));
        }
        await sleep(PAUSE_MS);
      }
    };
    this.writers = Promise.all(Array.from({ length: WRITERS }, writer));
  }

  async #metric(program, name) {
    const { body } = await call(`http://${this.gateways.installation.admin[program]}/metrics`);
    return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(body)?.[1] ?? 0);
  }

  #received() {
    return Promise.all(this.gateways.names.map((name) => this.#metric(name, 'events_gateway_received_total')));
  }

  /** How many events the relay has published again, because the projection asked for them. */
  repaired() {
    return this.#metric('relay', 'events_relay_repaired_total');
  }

  /** Each gateway is fed by the broker, and not only by the log. */
  async attached() {
    const before = await this.#received();
    await eventually('each gateway to have events from the broker', async () => {
      if (!this.writers) await this.#send('POST', '/api/prospects', person(++this.#made));
      return (await this.#received()).every((count, i) => count > before[i]);
    }, 60000, 100);
  }

  /** How many commands were accepted while the broker was away, for so long and until look() has ended. */
  async outage(ms, look) {
    const { rabbitmq } = this.gateways;
    await rabbitmq.down();
    const before = this.accepted.length;
    await Promise.all([sleep(ms), look?.()]);
    const meanwhile = this.accepted.length - before;
    await rabbitmq.up();
    return meanwhile;
  }

  async frozen(ms) {
    const { server } = this.gateways.rabbitmq;
    server.kill('SIGSTOP');
    await sleep(ms);
    server.kill('SIGCONT');
  }

  /** The writers end, all is worked off, and everyone has all of it. */
  async everyoneHasEverything() {
    this.#over = true;
    await this.writers;
    const head = await this.#settled();
    const wrong = () => this.all.flatMap((one) => faults(one, this.begin, head));
    await eventually('all events to be with all', () => !wrong().length, 30000, 200).catch(() => {});
    assert.deepEqual(wrong(), []);
    assert.ok(this.children.every((child) => child.exitCode === null && !child.signalCode), 'no gateway has ended');
  }

  async strike() {
    this.#over = true;
    this.all?.forEach((one) => one.stop());
    await this.writers?.catch(() => {});
    await this.gateways.stop();
  }
}

async function play(t, options, disturb) {
  const began = performance.now(), scene = await Scene.set(options), ready = performance.now() - began;
  try {
    scene.write();
    await sleep(300);
    await disturb(scene);
    await scene.attached();
    await sleep(500);
    const written = performance.now();
    await scene.everyoneHasEverything();
    t.diagnostic(`ready after ${Math.round(ready)} ms, played in ${Math.round(written - began - ready)}, all had after ${Math.round(performance.now() - written)}; ` +
      `${scene.accepted.length} commands, ${scene.refused} refused, ${await scene.repaired()} events asked for again; ${scene.all.length} subscribers`);
  } catch (error) {
    error.message += `\n${scene.gateways.installation.logs()}`;
    throw error;
  } finally {
    await scene.strike();
  }
}

test('the broker is killed for three seconds: nobody misses an event, and no gateway is restarted', (t) => play(t, {}, async (scene) => {
  const meanwhile = await scene.outage(3000);
  assert.ok(meanwhile > 20, `${meanwhile} commands were accepted meanwhile`);
  assert.equal(scene.refused, 0, 'the commands wait elsewhere');
}));

if (LONG) {
  test('it is killed, killed as soon as it is back, and frozen until its silence is noticed', (t) => play(t, {}, async (scene) => {
    await scene.outage(10000);
    await scene.outage(1000);
    await scene.frozen(45000); // heartbeats end a connection after 30 s
    assert.equal(scene.refused, 0);
    const repaired = await scene.repaired();
    assert.ok(repaired < 40000, `${repaired} events were asked for again, behind all those that had to wait`);
  }));

  test('it holds the commands, too: they are refused meanwhile, and what was accepted is worked off', (t) => play(t, { commands: true }, async (scene) => {
    await scene.outage(8000);
    assert.ok(scene.refused > 0);
  }));

  test('the projection is fed by webhook: the gateways read from the log what the broker does not bring', (t) => play(t, { webhook: true }, async (scene) => {
    await scene.outage(8000, async () => {
      const before = scene.all.map((one) => one.events().length);
      await eventually('events while the broker is away', () => scene.all.every((one, i) => one.events().length > before[i]), 20000);
    });
  }));
}
