// The live part of the app in one place: the client, two subscriptions over it, and who gets their events.
//
//   prospects   from the position of the first loaded list (list first, then subscribe: nothing is missed)
//   activity    the types chosen in the picker, from a little before that position so that the panel is not empty
import { EventsClient, SignedOutError, Store, type ResyncReason, type Start, type Subscription, type WorkerLike } from "../core";
import type { ActivityFeed } from "./activity";
import type { Api } from "./api";
import type { CommandTracker } from "./commands";
import type { ProspectCache } from "./prospect-cache";
import type { ProspectPage } from "./prospect";
import type { SessionKeeper } from "./session";

export interface LiveOptions {
  session: SessionKeeper;
  api: Api;
  cache: ProspectCache;
  activity: ActivityFeed;
  commands: CommandTracker;
  /** "https://host" */
  url: string;
  worker: (name: string) => WorkerLike;
}

const PROSPECT_SUBJECTS = ["prospect/*"];
const ACTIVITY_BACKLOG = 40n;

export class Live {
  /** The types the activity panel wants; undefined: all of them. */
  readonly chosenTypes = new Store<readonly string[] | undefined>(undefined);
  readonly client: EventsClient;
  readonly #options: LiveOptions;
  /** Of the lists loaded since the stream began anew: the one that was read first. */
  #start: Start | undefined;
  #prospects: Subscription | undefined;
  #activity: Subscription | undefined;

  constructor(options: LiveOptions) {
    this.#options = options;
    const { session, api, url, worker } = options;
    this.client = new EventsClient({
      url,
      worker,
      auth: { token: (stale) => tokenOf(session, stale), ticket: () => api.ticket() },
      onArrival: (event) => options.commands.observe(event),
    });
    this.chosenTypes.subscribe(() => this.#followActivity());
  }

  start(): void {
    this.client.start();
  }

  stop(): void {
    this.client.stop();
    this.#prospects = undefined;
    this.#activity = undefined;
    this.#start = undefined;
  }

  /** Called with each first page of a list; the first one decides where the stream begins. */
  listLoaded(page: ProspectPage): void {
    const position = BigInt(page.position);
    if (this.#start === undefined || position < this.#start.after) this.#start = { after: position, epoch: page.epoch };
    if (this.#prospects !== undefined) return;
    this.#prospects = this.client.subscribe({
      subjects: PROSPECT_SUBJECTS, // of any type: model/prospect-list.ts reads the contract
      start: this.#start,
      onEvent: (event) => this.#options.cache.apply(event),
      reload: (reason) => this.#reload(reason),
    });
    this.#followActivity();
  }

  async #reload(reason: ResyncReason): Promise<Start> {
    this.#start = undefined;
    await this.#options.cache.reload(reason === "epoch");
    if (this.#start === undefined) throw new Error("no list could be loaded");
    return this.#start;
  }

  #followActivity(): void {
    if (this.#prospects === undefined) return;
    const chosen = this.chosenTypes.get();
    this.#activity?.close();
    this.#activity = undefined;
    if (chosen?.length === 0) return;
    const { position = 0n, epoch } = this.#prospects;
    this.#activity = this.client.subscribe({
      types: chosen ?? [],
      start: { after: position > ACTIVITY_BACKLOG ? position - ACTIVITY_BACKLOG : 0n, epoch },
      onEvent: (event) => this.#options.activity.add(event),
      reload: (reason) => {
        if (reason === "epoch") this.#options.activity.clear(); // numbers of another log
        return Promise.resolve(undefined); // from now on
      },
    });
  }
}

async function tokenOf(session: SessionKeeper, stale: string | undefined): Promise<string> {
  if (session.current.get() === undefined) throw new SignedOutError();
  return stale === undefined ? session.accessToken() : (await session.refresh(stale)).accessToken;
}
