// One WebSocket to /ws/events, kept alive: tickets, heartbeats, back-off. What the frames mean is stream.ts' matter.
//
// The browser hides the server's WebSocket pings, so a dead path is found by Ping frames of our own: after a quiet
// heartbeat we ask, and with no frame at all for 2.5 heartbeats and the question still open we connect anew. (The open
// question matters: a background tab's timers run once a minute, and silence alone would prove nothing there.)
import { backoffMs, withJitter } from "./backoff";
import { decodeFrame, encodeFrame, SUBPROTOCOL, type ClientFrameInit } from "./codec";
import type { ServerFrame } from "../gen/events/v1/stream_pb";
import { Store } from "./store";

export type Connection =
  | { phase: "stopped" }
  | { phase: "connecting" }
  | { phase: "live" }
  | { phase: "waiting"; retryAt: number }
  | { phase: "forbidden" };

export interface SocketOptions {
  /** The address with a new ticket; a rejection is a failed attempt. */
  address: () => Promise<string>;
  open: (address: string, subprotocol: string) => WebSocket;
  onFrame: (frame: ServerFrame["frame"]) => void;
  /** The server says that the token is over (4401). Settled before the next attempt. */
  onTokenRefused: () => Promise<unknown>;
  random?: () => number;
}

const WELCOME_WITHIN_MS = 15_000;
const STABLE_AFTER_MS = 10_000;
const TOKEN_REFUSED = 4401;
const FORBIDDEN = 4403;

export class EventSocket {
  readonly connection = new Store<Connection>({ phase: "stopped" });
  readonly #options: SocketOptions;
  #socket: WebSocket | undefined;
  #generation = 0; // whatever belongs to an older one is ignored
  #attempt = 0;
  #liveSince = 0;
  #wait: ReturnType<typeof setTimeout> | undefined;
  #heart: ReturnType<typeof setInterval> | undefined;
  #heartbeatMs = 20_000;
  #lastFrameAt = 0;
  #askedAt: number | undefined;
  #nonce = 0n;

  constructor(options: SocketOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.connection.get().phase !== "stopped") return;
    this.#attempt = 0;
    void this.#connect();
  }

  stop(): void {
    this.#drop();
    this.connection.set({ phase: "stopped" });
  }

  /** Does not wait for the countdown: the user asked, or the network came back. */
  retryNow(): void {
    const { phase } = this.connection.get();
    if (phase === "waiting" || phase === "forbidden") void this.#connect();
    else if (phase === "live") this.#ask();
  }

  /** False when there is no live connection; nothing is queued. */
  send(frame: ClientFrameInit): boolean {
    if (this.connection.get().phase !== "live" || this.#socket === undefined) return false;
    this.#socket.send(encodeFrame(frame));
    return true;
  }

  async #connect(): Promise<void> {
    this.#drop();
    const generation = this.#generation;
    this.connection.set({ phase: "connecting" });
    let address: string;
    try {
      address = await this.#options.address();
    } catch {
      if (generation === this.#generation) this.#retryLater();
      return;
    }
    if (generation !== this.#generation) return;
    const socket = this.#options.open(address, SUBPROTOCOL);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#wait = setTimeout(() => this.#retryLater(), WELCOME_WITHIN_MS);
    socket.onmessage = (event: MessageEvent) => this.#received(event.data);
    socket.onclose = (event: CloseEvent) => void this.#closed(event.code);
  }

  #received(data: unknown): void {
    let frame: ServerFrame["frame"];
    try {
      if (!(data instanceof ArrayBuffer)) throw new Error("text frame");
      frame = decodeFrame(new Uint8Array(data));
    } catch {
      this.#retryLater();
      return;
    }
    this.#lastFrameAt = Date.now();
    this.#askedAt = undefined;
    if (frame.case === "welcome") this.#welcomed(frame.value.heartbeatSeconds);
    if (frame.case === "reconnect") this.#retryLater(withJitter(frame.value.retryAfterMs, this.#options.random));
    else this.#options.onFrame(frame);
  }

  #welcomed(heartbeatSeconds: number): void {
    clearTimeout(this.#wait);
    this.#liveSince = Date.now();
    this.#heartbeatMs = (heartbeatSeconds || 20) * 1000;
    this.#heart = setInterval(() => this.#beat(), this.#heartbeatMs / 2);
    this.connection.set({ phase: "live" });
  }

  #beat(): void {
    const quiet = Date.now() - this.#lastFrameAt;
    const open = this.#askedAt === undefined ? 0 : Date.now() - this.#askedAt;
    if (quiet > this.#heartbeatMs * 2.5 && open >= this.#heartbeatMs / 2) this.#retryLater(0);
    else if (quiet >= this.#heartbeatMs * 0.9) this.#ask();
  }

  #ask(): void {
    this.#askedAt ??= Date.now();
    this.#nonce += 1n;
    this.send({ case: "ping", value: { nonce: this.#nonce } });
  }

  async #closed(code: number): Promise<void> {
    const generation = this.#generation;
    if (code === FORBIDDEN) {
      this.#drop();
      this.connection.set({ phase: "forbidden" });
      return;
    }
    if (code === TOKEN_REFUSED) {
      this.connection.set({ phase: "connecting" });
      await this.#options.onTokenRefused().catch(() => undefined);
      if (generation !== this.#generation) return;
    }
    this.#retryLater();
  }

  #retryLater(delayMs?: number): void {
    if (this.#liveSince > 0 && Date.now() - this.#liveSince > STABLE_AFTER_MS) this.#attempt = 0;
    this.#drop();
    const delay = delayMs ?? backoffMs(this.#attempt, this.#options.random);
    this.#attempt += 1;
    this.connection.set({ phase: "waiting", retryAt: Date.now() + delay });
    this.#wait = setTimeout(() => void this.#connect(), delay);
  }

  #drop(): void {
    this.#generation += 1;
    clearTimeout(this.#wait);
    clearInterval(this.#heart);
    this.#liveSince = 0;
    this.#askedAt = undefined;
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket === undefined) return;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
  }
}
