// The live part of the client in one place: the socket, two subscriptions over it, and who gets their events.
//
//   prospects   from the position of the first loaded list (list first, then subscribe: nothing is missed)
//   activity    the types chosen in the picker, from a little before that position so that the panel is not empty
import type { ActivityFeed } from "./activity";
import type { Api } from "./api";
import { backoffMs } from "./backoff";
import type { CommandTracker } from "./commands";
import type { ProspectCache } from "./prospect-cache";
import type { ProspectPage } from "./prospect";
import type { SessionKeeper } from "./session";
import { EventSocket } from "./socket";
import { Store } from "./store";
import { EventStream, type Subscription } from "./stream";

export interface LiveOptions {
  session: SessionKeeper;
  api: Api;
  cache: ProspectCache;
  activity: ActivityFeed;
  commands: CommandTracker;
  /** "wss://host/ws/events" */
  endpoint: string;
  open: (address: string, subprotocol: string) => WebSocket;
}

const PROSPECT_SUBJECTS = ["prospect/*"];
const ACTIVITY_BACKLOG = 40n;
const CALM_AFTER_MS = 30_000;

export class Live {
  /** The types the activity panel wants; undefined: all of them. */
  readonly chosenTypes = new Store<readonly string[] | undefined>(undefined);
  readonly socket: EventSocket;
  readonly #stream: EventStream;
  readonly #options: LiveOptions;
  #start: { position: bigint; epoch: string } | undefined;
  #prospects: Subscription | undefined;
  #activity: Subscription | undefined;
  #resyncs = 0;
  #lastResyncAt = 0;
  #timers = new Set<ReturnType<typeof setTimeout>>();

  constructor(options: LiveOptions) {
    this.#options = options;
    this.socket = new EventSocket({
      address: async () => `${options.endpoint}?ticket=${encodeURIComponent(await options.api.ticket())}`,
      open: options.open,
      onFrame: (frame) => this.#stream.handle(frame),
      onTokenRefused: async () => {
        const session = options.session.current.get();
        if (session !== undefined) await options.session.refresh(session.accessToken);
      },
    });
    this.#stream = new EventStream(
      (frame) => this.socket.send(frame),
      (event) => options.commands.observe(event),
    );
    this.socket.connection.subscribe(() => {
      if (this.socket.connection.get().phase !== "live") this.#stream.disconnected();
    });
    this.chosenTypes.subscribe(() => this.#followActivity());
  }

  start(): void {
    this.socket.start();
  }

  stop(): void {
    this.socket.stop();
    this.#stream.clear();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#prospects = undefined;
    this.#activity = undefined;
    this.#start = undefined;
  }

  /** Keeps the connection's permission alive when the session has a new token. */
  tokenRenewed(token: string): void {
    this.socket.send({ case: "refreshToken", value: { token } });
  }

  /** Called with each first page of a list; the first one decides where the stream begins. */
  listLoaded(page: ProspectPage): void {
    if (this.#prospects !== undefined) return;
    this.#start = { position: BigInt(page.position), epoch: page.epoch };
    this.#prospects = this.#stream.subscribe({
      eventTypes: [], // whatever happens to a prospect: core/prospect-list.ts reads the contract
      subjects: PROSPECT_SUBJECTS,
      start: { after: this.#start.position, epoch: this.#start.epoch },
      onEvent: (event) => this.#options.cache.apply(event),
      onResync: (reason) => this.#later(() => void this.#reload(reason)),
    });
    if (this.#activity === undefined) this.#followActivity();
  }

  /** Until a list has come and the stream goes on from it. */
  async #reload(reason: string): Promise<void> {
    this.#prospects = undefined;
    await this.#options.cache.reload(reason === "epoch");
    if (this.#prospects === undefined && this.#start !== undefined) this.#later(() => void this.#reload(reason));
  }

  #followActivity(): void {
    if (this.#start === undefined) return;
    const chosen = this.chosenTypes.get();
    this.#activity?.close();
    this.#activity = undefined;
    if (chosen?.length === 0) return;
    const latest = this.#prospects?.position ?? this.#start.position;
    const after = latest > ACTIVITY_BACKLOG ? latest - ACTIVITY_BACKLOG : 0n;
    this.#subscribeActivity(chosen ?? [], after);
  }

  #subscribeActivity(eventTypes: readonly string[], after: bigint | undefined): void {
    const subscription = this.#stream.subscribe({
      eventTypes,
      subjects: [],
      start: { after, epoch: this.#start?.epoch ?? "" },
      onEvent: (event) => this.#options.activity.add(event),
      onResync: (reason) => {
        if (reason === "epoch") this.#options.activity.clear(); // numbers of another log
        this.#later(() => {
          if (this.#activity === subscription) this.#subscribeActivity(eventTypes, undefined);
        });
      },
    });
    this.#activity = subscription;
  }

  /** At once the first time, then with growing pauses: a server that cannot resume must not be hammered. */
  #later(work: () => void): void {
    if (Date.now() - this.#lastResyncAt > CALM_AFTER_MS) this.#resyncs = 0;
    this.#lastResyncAt = Date.now();
    const wait = this.#resyncs < 2 ? 0 : backoffMs(this.#resyncs);
    this.#resyncs += 1;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, wait);
    this.#timers.add(timer);
  }
}
