// A tab's end of the shared connection: the same frames as over a connection of its own, through the hub's port.
//
// The connection's own heartbeat says nothing of the way from the hub to us: a worker that the browser has ended is not
// reported to anybody. So the hub's questions are its heartbeat; when several have not come we greet it anew, and without
// an answer go on alone. (Counted by our own timer: while we are frozen neither it nor a message comes.)
import type { ClientFrameInit } from "./codec";
import { ASK_EVERY_MS, type ToHub, type ToTab } from "./messages";
import { Store } from "./store";
import { isPermanent, type ConnectionState, type Transport, type TransportOptions } from "./transport";

/** A SharedWorker, as far as it is used here. (What its handlers take, the DOM's types say in their own way.) */
export interface WorkerLike {
  readonly port: { postMessage: (message: unknown) => void; onmessage: unknown };
  onerror: unknown;
}

export interface TabOptions extends TransportOptions {
  /** Throws where there is no SharedWorker. */
  worker: () => WorkerLike;
  /** Called once, when this cannot be used (any more): there is no worker, or it can take no more subscriptions. */
  onUnusable: () => void;
}

const GREETED_WITHIN_MS = 5_000;
const QUIET_TIMES = 5; // as long as the hub waits for a tab, and a little more
const FAILURES = 2; // of a worker that has never been live: it may be kept from connecting where a page is not

export class TabTransport implements Transport {
  readonly state = new Store<ConnectionState>({ phase: "stopped" });
  readonly #options: TabOptions;
  #worker: WorkerLike | undefined;
  #generation = 0;
  #hidden = false;
  #running = false;
  #everLive = false;
  #failures = 0;
  #greeting: ReturnType<typeof setTimeout> | undefined;
  #listening: ReturnType<typeof setInterval> | undefined;
  #quiet = 0;

  constructor(options: TabOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.state.set({ phase: "connecting" });
    try {
      this.#worker ??= this.#listen(this.#options.worker());
    } catch {
      this.#unusable();
      return;
    }
    this.#listening = setInterval(() => this.#listened(), ASK_EVERY_MS);
    this.#greet();
  }

  stop(): void {
    if (!this.#running) return;
    this.#running = false;
    clearTimeout(this.#greeting);
    clearInterval(this.#listening);
    this.#post({ do: "bye" });
    this.state.set({ phase: "stopped" });
  }

  retryNow(): void {
    this.#post({ do: "retry" });
  }

  check(): void {
    this.#post({ do: "check" });
  }

  setHidden(hidden: boolean): void {
    this.#hidden = hidden;
    if (this.#running) this.#post({ do: "hidden", hidden });
  }

  send(frame: ClientFrameInit): boolean {
    if (this.state.get().phase !== "live") return false;
    this.#post({ do: "frame", generation: this.#generation, frame });
    return true;
  }

  #listen(worker: WorkerLike): WorkerLike {
    worker.onerror = () => this.#unusable();
    worker.port.onmessage = ({ data }: { data: ToTab }) => {
      if (this.#running) this.#hear(data);
    };
    return worker;
  }

  #post(message: ToHub): void {
    this.#worker?.port.postMessage(message);
  }

  #greet(): void {
    clearTimeout(this.#greeting);
    this.#greeting = setTimeout(() => this.#unusable(), GREETED_WITHIN_MS);
    this.#quiet = 0;
    this.#post({ do: "hello", hidden: this.#hidden });
  }

  #listened(): void {
    this.#quiet += 1;
    if (this.#quiet < QUIET_TIMES) return;
    this.state.set({ phase: "connecting" });
    this.#greet();
  }

  #hear(message: ToTab): void {
    clearTimeout(this.#greeting);
    this.#quiet = 0;
    switch (message.is) {
      case "state":
        this.#generation = message.generation;
        this.#stateIs(message.state);
        break;
      case "frame":
        this.#options.onFrame(message.frame);
        break;
      case "admit":
        void this.#admit(message.ask, message.refused);
        break;
      case "ping":
        this.#post({ do: "pong", posted: message.posted });
        break;
      case "gone":
        this.#gone(message.why);
        break;
      default:
    }
  }

  #stateIs(state: ConnectionState): void {
    if (state.phase === "live") this.#everLive = true;
    if (state.phase === "waiting" && !this.#everLive) this.#failures += 1;
    if (this.#failures >= FAILURES && !this.#everLive) this.#unusable();
    // a worker that has just been made says that it is stopped, and connects
    else this.state.set(state.phase === "stopped" ? { phase: "connecting" } : state);
  }

  async #admit(ask: number, refused: boolean): Promise<void> {
    try {
      this.#post({ do: "admission", ask, admission: await this.#options.admit(refused) });
    } catch (error) {
      this.#post({ do: "refusal", ask, permanent: isPermanent(error) });
    }
  }

  #gone(why: "silent" | "full"): void {
    if (why === "full") return this.#unusable();
    this.state.set({ phase: "connecting" });
    this.#greet();
  }

  #unusable(): void {
    if (!this.#running) return;
    this.stop();
    this.#options.onUnusable();
  }
}
