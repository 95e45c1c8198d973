// A subscriber that collects every event, whatever happens to the other side.
import { decode } from './protobuf.mjs';
import { sleep } from './wait.mjs';
import { EventSocket } from './websocket.mjs';

/** A subscriber as a good client is: resumes after its position, drops what it has by event id, survives everything. */
export class Subscriber {
  events = [];
  ids = new Set();
  position;
  resyncs = [];
  running = true;
  awayMs = 0; // how long it stays away when its connection has ended

  constructor(client) {
    this.client = client;
    this.done = this.#run();
  }

  async #run() {
    while (this.running) {
      try {
        await this.#connect();
        await sleep(this.awayMs);
      } catch {
        await sleep(50);
      }
    }
  }

  async #connect() {
    const socket = await EventSocket.open(this.client);
    this.socket = socket;
    socket.ws.on('message', (bytes) => this.#take(decode('ServerFrame', bytes)));
    socket.send({ subscribe: { id: 1, after: this.position ?? 0, epoch: this.epoch ?? '' } });
    this.epoch = socket.epoch;
    await new Promise((done) => (socket.ws.closed ? done() : socket.ws.once('close', done)));
  }

  #take({ events, resyncRequired }) {
    if (resyncRequired) this.resyncs.push(resyncRequired);
    if (!events) return;
    for (const event of events.events) {
      if (this.ids.has(event.eventId)) continue;
      this.ids.add(event.eventId);
      this.events.push(event);
      this.onEvent?.(event);
    }
    this.position = Math.max(this.position ?? 0, events.position);
  }

  async stop() {
    this.running = false;
    this.socket?.close();
    await this.done;
  }
}
