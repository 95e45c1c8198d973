// A client as the browser's is: it follows all events over a WebSocket, and when that ends it comes back after the pause
// that the server has asked for, from its position. It keeps account of what it got, not the events themselves.
import { decode, encode } from './protobuf.mjs';
import { sleep } from './wait.mjs';
import { WebSocketClient } from './websocket.mjs';

export class Follower {
  numbers = new Set();  // of all events it got
  versions = new Map(); // subject -> the last version
  faults = [];
  ends = []; // { at, code, asked, back }: each end of a connection; asked: the pause that the server has asked for
  position = 0;
  refused = 0;

  constructor(client) {
    this.client = client;
  }

  /** Resolves when it is subscribed. */
  async start() {
    await this.#connect();
    return this;
  }

  async #connect() {
    const ws = await WebSocketClient.open(`${this.client.url}/ws/events`, { headers: this.client.authorization });
    this.ws = ws;
    this.told = 0;
    let asked;
    ws.on('close', (code) => this.#ended(code, asked));
    await new Promise((done, fail) => {
      ws.on('close', () => fail(new Error('closed before it was subscribed')));
      ws.on('message', (bytes) => {
        const frame = decode('ServerFrame', bytes);
        if (frame.welcome) this.#subscribe(frame.welcome);
        if (frame.reconnect) asked = frame.reconnect.retryAfterMs;
        if (frame.resyncRequired) this.faults.push(`resync: ${frame.resyncRequired.reason}`);
        if (frame.subscribed) {
          this.from ??= this.position = frame.subscribed.position;
          done();
        }
        if (frame.events) this.#take(frame.events);
      });
    }).catch((error) => { if (!ws.closed) throw error; });
  }

  #subscribe({ epoch }) {
    this.epoch ??= epoch;
    if (this.epoch !== epoch) this.faults.push('another epoch');
    const resume = this.from === undefined ? {} : { after: this.position, epoch };
    this.ws.send(encode('ClientFrame', { subscribe: { id: 1, ...resume } }));
  }

  #take({ events, position }) {
    for (const { sequence, subject, subjectVersion } of events) {
      if (this.numbers.has(sequence)) continue; // at least once
      this.numbers.add(sequence);
      const before = this.versions.get(subject) ?? 0;
      if (subjectVersion <= before) this.faults.push(`${subject}: ${subjectVersion} after ${before}`);
      this.versions.set(subject, subjectVersion);
    }
    if (!position) return;
    if (position < this.told) this.faults.push(`position ${position} after ${this.told}`);
    this.told = this.position = position; // the latest is safe, also where another gateway is not as far yet
  }

  async #ended(code, asked) {
    if (this.stopped) return;
    const end = { at: performance.now(), code, asked };
    this.ends.push(end);
    await sleep(asked ?? 200 + 800 * Math.random());
    for (;;) {
      if (this.stopped) return;
      try {
        await this.#connect();
        end.back = performance.now();
        return;
      } catch {
        this.refused++;
        await sleep(100 + 400 * Math.random());
      }
    }
  }

  stop() {
    this.stopped = true;
    this.ws?.close();
  }
}
