// One WebSocket to /ws/events, kept alive: admission, heartbeats, back-off. What the frames mean is subscriptions.ts'
// matter.
//
// The browser hides the server's WebSocket pings, so a dead path is found by Ping frames of our own: after a quiet
// heartbeat we ask, and with no frame at all for 2.5 heartbeats and the question still open we connect anew. (The open
// question matters: a background tab's timers run once a minute, and silence alone would prove nothing there.)
import { backoffMs, withJitter } from "./backoff";
import { decodeFrame, encodeFrame, SUBPROTOCOL, type ClientFrameInit } from "./codec";
import { Store } from "./store";
import { isPermanent, type Admission, type ConnectionState, type Frame, type Transport, type TransportOptions } from "./transport";

/** What is used of a WebSocket: the browser's, Node's own and that of the package `ws` all have it. */
export interface SocketLike {
  binaryType: string;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
  onerror: ((event: unknown) => void) | null;
  send: (bytes: Uint8Array<ArrayBuffer>) => void;
  close: () => void;
}

export type OpenSocket = (url: string, options: { protocols: string[]; headers: Record<string, string> }) => SocketLike;

export interface ConnectionOptions extends TransportOptions {
  open: OpenSocket;
}

const ADMITTED_WITHIN_MS = 60_000;
const WELCOME_WITHIN_MS = 15_000;
const PROVED_WITHIN_MS = 5_000;
const STABLE_AFTER_MS = 10_000;
const HIDDEN_ATTEMPTS = 5; // as if so many had failed already: waits of up to 16 s from the first on
const TURNED_AWAY = 3; // handshakes in a row
const TOKEN_REFUSED = 4401;
const FORBIDDEN = 4403;

export class Connection implements Transport {
  readonly state = new Store<ConnectionState>({ phase: "stopped" });
  readonly #options: ConnectionOptions;
  #socket: SocketLike | undefined;
  #generation = 0; // whatever belongs to an older one is ignored
  #attempt = 0;
  #hidden = false;
  #refused = false;
  #turnedAway = 0;
  #notBefore = 0; // the server asked to be left alone until then
  #liveSince = 0;
  #wait: ReturnType<typeof setTimeout> | undefined;
  #proof: ReturnType<typeof setTimeout> | undefined;
  #heart: ReturnType<typeof setInterval> | undefined;
  #heartbeatMs = 20_000;
  #lastFrameAt = 0;
  #askedAt: number | undefined;
  #nonce = 0n;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.state.get().phase !== "stopped") return;
    this.#attempt = 0;
    void this.#connect();
  }

  stop(): void {
    this.#drop();
    this.state.set({ phase: "stopped" });
  }

  retryNow(): void {
    this.#notBefore = 0;
    if (this.state.get().phase === "forbidden") void this.#connect();
    else this.check();
  }

  check(): void {
    const { phase } = this.state.get();
    if (phase === "waiting") this.#waitUntil(Math.max(Date.now(), this.#notBefore));
    if (phase !== "live") return;
    this.#ask();
    this.#proof ??= setTimeout(() => this.#retryLater(0), PROVED_WITHIN_MS);
  }

  setHidden(hidden: boolean): void {
    this.#hidden = hidden;
  }

  send(frame: ClientFrameInit): boolean {
    if (this.state.get().phase !== "live" || this.#socket === undefined) return false;
    this.#socket.send(encodeFrame(frame));
    return true;
  }

  async #connect(): Promise<void> {
    this.#drop();
    const generation = this.#generation;
    this.#wait = setTimeout(() => this.#retryLater(), ADMITTED_WITHIN_MS);
    this.state.set({ phase: "connecting" });
    let admission: Admission;
    try {
      admission = await this.#options.admit(this.#refused);
    } catch (error) {
      if (generation === this.#generation) this.#notAdmitted(error);
      return;
    }
    if (generation !== this.#generation) return;
    this.#refused = false;
    try {
      this.#listen(this.#options.open(admission.url, { protocols: [SUBPROTOCOL], headers: admission.headers ?? {} }));
    } catch (error) {
      this.#options.onError?.(error); // an address or a policy that the platform does not accept
      this.#retryLater();
    }
  }

  #notAdmitted(error: unknown): void {
    if (!isPermanent(error)) {
      this.#options.onError?.(error);
      return this.#retryLater();
    }
    this.#drop();
    this.state.set({ phase: "forbidden" });
  }

  #listen(socket: SocketLike): void {
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    clearTimeout(this.#wait);
    this.#wait = setTimeout(() => this.#retryLater(), WELCOME_WITHIN_MS);
    socket.onmessage = (event) => this.#received(event.data);
    let why = "";
    socket.onclose = (event) => this.#closed(event.code, why);
    socket.onerror = (event) => (why = messageOf(event)); // a close follows
  }

  #received(data: unknown): void {
    let frame: Frame;
    try {
      if (!(data instanceof ArrayBuffer)) throw new Error("text frame");
      frame = decodeFrame(new Uint8Array(data));
    } catch {
      this.#retryLater();
      return;
    }
    this.#lastFrameAt = Date.now();
    this.#askedAt = undefined;
    clearTimeout(this.#proof);
    this.#proof = undefined;
    if (frame.case === "welcome") this.#welcomed(frame.value.heartbeatSeconds);
    if (frame.case === "reconnect") this.#leave(frame.value.retryAfterMs);
    else if (frame.case !== "pong") this.#options.onFrame(frame);
  }

  #welcomed(heartbeatSeconds: number): void {
    clearTimeout(this.#wait);
    this.#turnedAway = 0;
    this.#liveSince = Date.now();
    this.#heartbeatMs = (heartbeatSeconds || 20) * 1000;
    this.#heart = setInterval(() => this.#beat(), this.#heartbeatMs / 2);
    this.state.set({ phase: "live" });
  }

  #leave(retryAfterMs: number): void {
    const wait = withJitter(retryAfterMs, this.#options.random);
    this.#notBefore = Date.now() + wait;
    this.#retryLater(wait);
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

  #closed(code: number, why: string): void {
    if (code === TOKEN_REFUSED) this.#refused = true;
    if (this.state.get().phase === "connecting") this.#wasTurnedAway(code, why);
    if (code !== FORBIDDEN) return this.#retryLater();
    this.#drop();
    this.state.set({ phase: "forbidden" });
  }

  /** A handshake that the server refuses looks here as if there were no server. After some of them another token is asked
   *  for: the one we have may have been revoked while we were away. Once, for the next one is as good as new. */
  #wasTurnedAway(code: number, why: string): void {
    this.#turnedAway += 1;
    if (this.#turnedAway !== TURNED_AWAY) return;
    this.#refused = true;
    this.#options.onError?.(new Error(`no stream: ${TURNED_AWAY} times closed with ${code} before its Welcome${why}`));
  }

  #retryLater(delayMs?: number): void {
    if (this.#liveSince > 0 && Date.now() - this.#liveSince > STABLE_AFTER_MS) this.#attempt = 0;
    const patience = this.#attempt + (this.#hidden ? HIDDEN_ATTEMPTS : 0);
    this.#attempt += 1;
    this.#waitUntil(Date.now() + (delayMs ?? backoffMs(patience, this.#options.random)));
  }

  #waitUntil(retryAt: number): void {
    this.#drop();
    this.state.set({ phase: "waiting", retryAt });
    this.#wait = setTimeout(() => void this.#connect(), retryAt - Date.now());
  }

  #drop(): void {
    this.#generation += 1;
    clearTimeout(this.#wait);
    clearTimeout(this.#proof);
    clearInterval(this.#heart);
    this.#proof = undefined;
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

/** What Node and `ws` say of a handshake that failed ("Unexpected server response: 401"); a browser keeps it to itself. */
function messageOf(event: unknown): string {
  const { message } = event as { message?: unknown };
  return typeof message === "string" && message !== "" ? `: ${message}` : "";
}
