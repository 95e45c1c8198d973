// A tab's end of the shared connection: the same frames as over a connection of its own, through the hub's port.
//
// The connection's own heartbeat says nothing of the way from the hub to us. A worker lives in the process of one of its
// pages, and when that crashes, or the browser wants its memory, nobody is told. So the hub's questions are its heartbeat:
// where they stay out we ask, and without an answer another worker is made, by whichever tab notices first.
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
const QUIET_AFTER_MS = ASK_EVERY_MS * 1.5;
const LOOK_EVERY_MS = 10_000;
const ANSWERED_WITHIN_MS = 5_000;
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
  #watch: ReturnType<typeof setInterval> | undefined;
  #proof: ReturnType<typeof setTimeout> | undefined;
  #heardAt = 0;

  constructor(options: TabOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#join();
  }

  #join(): void {
    this.state.set({ phase: "connecting" });
    try {
      this.#worker ??= this.#listen(this.#options.worker());
    } catch {
      this.#unusable();
      return;
    }
    this.#greeting = setTimeout(() => this.#unusable(), GREETED_WITHIN_MS);
    this.#heardAt = Date.now();
    this.#watch = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#post({ do: "hello", hidden: this.#hidden });
  }

  stop(): void {
    if (!this.#running) return;
    this.#leave();
    this.state.set({ phase: "stopped" });
  }

  retryNow(): void {
    this.#post({ do: "retry" });
  }

  check(): void {
    this.#post({ do: "check" });
    this.#ask();
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
    worker.onerror = () => worker === this.#worker && this.#unusable();
    worker.port.onmessage = ({ data }: { data: ToTab }) => {
      if (this.#running && worker === this.#worker) this.#hear(data);
    };
    return worker;
  }

  // --- is the hub there?

  #look(): void {
    if (Date.now() - this.#heardAt > QUIET_AFTER_MS) this.#ask();
  }

  /** Silence alone proves nothing in a tab that did not run; an answer that does not come, does. */
  #ask(): void {
    if (!this.#running) return;
    this.#post({ do: "ask" });
    this.#proof ??= setTimeout(() => this.#lost(), ANSWERED_WITHIN_MS);
  }

  #lost(): void {
    this.#rest();
    this.#post({ do: "bye" }); // should it live after all
    this.#worker = undefined;
    this.#everLive = false;
    this.#failures = 0;
    this.#join();
  }

  #rest(): void {
    clearTimeout(this.#greeting);
    clearTimeout(this.#proof);
    clearInterval(this.#watch);
    this.#proof = undefined;
  }

  #post(message: ToHub): void {
    this.#worker?.port.postMessage(message);
  }

  #hear(message: ToTab): void {
    clearTimeout(this.#greeting);
    clearTimeout(this.#proof);
    this.#proof = undefined;
    this.#heardAt = Date.now();
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
      if (!isPermanent(error)) this.#options.onError?.(error);
      this.#post({ do: "refusal", ask, permanent: isPermanent(error) });
    }
  }

  #gone(why: "silent" | "full"): void {
    if (why === "full") return this.#unusable();
    this.state.set({ phase: "connecting" });
    this.#post({ do: "hello", hidden: this.#hidden });
  }

  #unusable(): void {
    if (!this.#running) return;
    this.#leave();
    this.#options.onUnusable();
  }

  #leave(): void {
    this.#running = false;
    this.#rest();
    this.#post({ do: "bye" });
  }
}
