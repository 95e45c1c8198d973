// EventsClient: the front door. Admission and tokens here; frames in subscriptions.ts; the wire in connection.ts, or
// shared with other tabs in tab.ts and hub.ts.
import { backoffMs } from "./backoff";
import type { DomainEvent } from "./codec";
import { Connection, type OpenSocket } from "./connection";
import { browserSurroundings, openSocket, type Happening, type Surroundings } from "./platform";
import { Store } from "./store";
import { Subscriptions, type Subscription, type SubscriptionOptions } from "./subscriptions";
import { TabTransport, type WorkerLike } from "./tab";
import { renewAfterMs, tokenClaims, tokenOwner } from "./token";
import { isPermanent, type Admission, type ConnectionState, type Transport, type TransportOptions } from "./transport";

export interface Auth {
  /** An access token that holds; another one than `stale`, where that is given: renewed. Throw a SignedOutError where
   *  there will be none; anything else that is thrown is tried again. */
  token: (stale?: string) => Promise<string>;
  /** A single-use ticket (POST /api/auth/ticket), for browsers, whose WebSocket sends no header. Absent: the token goes
   *  into the Authorization header. */
  ticket?: () => Promise<string>;
}

export interface EventsClientOptions {
  /** The gateway ("https://host"), or its stream ("wss://host/ws/events"). */
  url: string;
  auth: Auth;
  /** How a WebSocket is opened. Absent: the platform's own (a browser, Node 22). */
  open?: OpenSocket;
  /** Makes or finds the SharedWorker of this name, which runs worker.ts. Absent: a connection of our own. */
  worker?: (name: string) => WorkerLike;
  surroundings?: Surroundings;
  /** Every event that arrives, repetitions and those of other tabs' filters included, before any subscription has it. */
  onArrival?: (event: DomainEvent) => void;
  /** What goes wrong without ending anything: an exception of a handler, a complaint of the server. Absent: the console. */
  onError?: (error: unknown) => void;
  random?: () => number;
}

const CALM_AFTER_MS = 30_000;

export class EventsClient {
  readonly state = new Store<ConnectionState>({ phase: "stopped" }, (error) => this.#tellError(error));
  readonly #options: EventsClientOptions;
  readonly #subscriptions: Subscriptions;
  #transport: Transport | undefined;
  #run = 0; // grows with start() and stop(): what was under way before does not count
  #running = false;
  #shared = false;
  #hidden = false;
  #token = "";
  #renewal: ReturnType<typeof setTimeout> | undefined;
  #complaint = ""; // why there is no connection, as it was told last
  #renewals = 0; // that failed, one after the other
  #resyncs = 0;
  #lastResyncAt = 0;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #unwatch: () => void = () => undefined;

  constructor(options: EventsClientOptions) {
    this.#options = options;
    this.#subscriptions = new Subscriptions({
      send: (frame) => this.#transport?.send(frame) ?? false,
      onArrival: options.onArrival,
      onError: (error) => this.#tellError(error),
      later: (work) => this.#later(work),
    });
  }

  /** Whether other tabs use the same connection. */
  get shared(): boolean {
    return this.#shared;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#run += 1;
    this.#complaint = "";
    this.#unwatch = (this.#options.surroundings ?? browserSurroundings)((what) => this.#happened(what));
    void this.#connect();
  }

  /** Ends the connection and every subscription; it can be started again, also for another user. */
  stop(): void {
    if (!this.#running) return;
    this.#running = false;
    this.#run += 1;
    this.#unwatch();
    this.#subscriptions.clear();
    clearTimeout(this.#renewal);
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#token = "";
    this.#leave();
    this.state.set({ phase: "stopped" });
  }

  /** Does not wait for the countdown: somebody asked for it. */
  retryNow(): void {
    this.#transport?.retryNow();
  }

  /** Before or after start(). Throws RangeError above 32 subscriptions, 256 subjects or 256 types each. */
  subscribe(options: SubscriptionOptions): Subscription {
    return this.#subscriptions.add(options);
  }

  /** The application has renewed the token by itself: the connection's permission goes on with it, in place. */
  useToken(token: string): void {
    if (token === this.#token || !this.#running) return;
    this.#token = token;
    this.#transport?.send({ case: "refreshToken", value: { token } });
    this.#watchToken();
  }

  // --- the wire

  async #connect(): Promise<void> {
    const { worker } = this.#options;
    const run = this.#run;
    if (worker === undefined) return this.#use(this.#alone());
    this.state.set({ phase: "connecting" });
    try {
      const owner = tokenOwner(await this.#options.auth.token());
      if (run === this.#run) this.#use(this.#together(() => worker(`events ${owner}`)));
    } catch {
      if (run === this.#run) this.#use(this.#alone()); // it asks for a token itself, with back-off
    }
  }

  #alone(): Transport {
    this.#shared = false;
    return new Connection({ ...this.#transportOptions(), open: this.#options.open ?? openSocket });
  }

  #together(worker: () => WorkerLike): Transport {
    this.#shared = true;
    const onUnusable = (): void => {
      if (!this.#running) return;
      this.#leave();
      this.#use(this.#alone());
    };
    return new TabTransport({ ...this.#transportOptions(), worker, onUnusable });
  }

  #transportOptions(): TransportOptions {
    return {
      admit: (refused) => this.#admit(refused),
      onFrame: (frame) => this.#subscriptions.handle(frame),
      onError: (error) => this.#complain(error),
      random: this.#options.random,
    };
  }

  #use(transport: Transport): void {
    this.#transport = transport;
    transport.setHidden(this.#hidden);
    transport.state.subscribe(() => {
      if (this.#transport !== transport) return;
      const state = transport.state.get();
      if (state.phase !== "live") this.#subscriptions.disconnected();
      this.state.set(state);
      if (state.phase === "live") void this.#connected();
    });
    transport.start();
  }

  #leave(): void {
    const transport = this.#transport;
    this.#transport = undefined; // what it says from now on is not heard
    this.#subscriptions.disconnected();
    transport?.stop();
  }

  #happened(what: Happening): void {
    if (what === "visible" || what === "hidden") {
      this.#hidden = what === "hidden";
      this.#transport?.setHidden(this.#hidden);
    }
    if (what === "leaving") this.#transport?.stop();
    else if (what === "returned") this.#transport?.start();
    else if (what !== "hidden") this.#transport?.check();
  }

  // --- tokens

  async #admit(refused: boolean): Promise<Admission> {
    const { auth } = this.#options;
    const run = this.#run;
    const token = await (refused ? auth.token(this.#token || (await auth.token())) : auth.token());
    const ticket = await auth.ticket?.();
    if (run !== this.#run) throw new Error("stopped meanwhile");
    this.#token = token;
    const url = streamUrl(this.#options.url);
    if (ticket === undefined) return { url, headers: { Authorization: `Bearer ${token}` } };
    return { url: `${url}?ticket=${encodeURIComponent(ticket)}` };
  }

  /** Where another tab has let us in, our own token is not known yet. */
  async #connected(): Promise<void> {
    const run = this.#run;
    this.#complaint = "";
    try {
      this.#token ||= await this.#options.auth.token();
    } catch (error) {
      this.#tellError(error);
    }
    if (run === this.#run) this.#watchToken();
  }

  #watchToken(): void {
    clearTimeout(this.#renewal);
    const { exp } = tokenClaims(this.#token);
    if (typeof exp !== "number") return;
    this.#renewal = setTimeout(() => void this.#renew(), renewAfterMs(exp * 1000, Date.now()));
  }

  async #renew(): Promise<void> {
    const run = this.#run;
    const stale = this.#token;
    try {
      const token = await this.#options.auth.token(stale);
      if (run !== this.#run) return;
      this.#renewals = 0;
      if (this.#token === stale) this.useToken(token);
    } catch (error) {
      if (run !== this.#run) return;
      this.#tellError(error);
      if (isPermanent(error)) return; // the server ends the connection with the token; then auth is asked once more
      this.#renewals += 1;
      this.#renewal = setTimeout(() => void this.#renew(), 1_000 + backoffMs(this.#renewals, this.#options.random));
    }
  }

  // --- the rest

  /** At once the first time, then with growing pauses: a server that cannot resume must not be hammered. */
  #later(work: () => void): void {
    if (Date.now() - this.#lastResyncAt > CALM_AFTER_MS) this.#resyncs = 0;
    this.#lastResyncAt = Date.now();
    const wait = this.#resyncs < 2 ? 0 : backoffMs(this.#resyncs, this.#options.random);
    this.#resyncs += 1;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, wait);
    this.#timers.add(timer);
  }

  /** Each attempt may fail for the same reason. */
  #complain(error: unknown): void {
    if (String(error) !== this.#complaint) this.#tellError(error);
    this.#complaint = String(error);
  }

  #tellError(error: unknown): void {
    try {
      if (this.#options.onError === undefined) console.warn("events:", error);
      else this.#options.onError(error);
    } catch (another) {
      console.warn("events: onError has thrown", another);
    }
  }
}

/** "https://host" -> "wss://host/ws/events" */
function streamUrl(url: string): string {
  const address = url.replace(/^http/, "ws");
  return /^wss?:\/\/[^/]+\/?$/.test(address) ? `${address.replace(/\/$/, "")}/ws/events` : address;
}
