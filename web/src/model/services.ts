// Puts the parts together, once, outside React; components reach them through hooks/useServices.ts.
import { QueryClient } from "@tanstack/query-core";
import type { WorkerLike } from "../core";
import { ActivityFeed } from "./activity";
import { Api } from "./api";
import { CommandTracker } from "./commands";
import { Live } from "./live";
import { Notices } from "./notices";
import { isTemporary } from "./problem";
import { ProspectCache } from "./prospect-cache";
import { SessionKeeper } from "./session";
import { newUuid } from "./uuid";

export interface Services {
  session: SessionKeeper;
  api: Api;
  queries: QueryClient;
  cache: ProspectCache;
  activity: ActivityFeed;
  commands: CommandTracker;
  live: Live;
  notices: Notices;
}

export function createServices(): Services {
  const session = new SessionKeeper({
    fetch: window.fetch.bind(window),
    storage: window.sessionStorage,
    newId: newUuid,
    channel: new BroadcastChannel("events.session"),
    ...(navigator.locks === undefined ? {} : { locks: navigator.locks }),
  });
  const api = new Api(session, window.fetch.bind(window));
  const queries = new QueryClient({ defaultOptions: { queries: { ...FRESH_BY_EVENTS, retry: retryTemporary } } });
  const cache = new ProspectCache(queries);
  const activity = new ActivityFeed();
  const commands = new CommandTracker((commandId) => api.getCommand(commandId));
  const live = new Live({ session, api, cache, activity, commands, url: location.origin, worker: sharedWorker });
  const services = { session, api, queries, cache, activity, commands, live, notices: new Notices() };
  followSession(services);
  return services;
}

/** The tabs of one user share a connection. (Written so that the bundler finds the worker's script.) */
function sharedWorker(name: string): WorkerLike {
  return new SharedWorker(new URL("../core/worker.ts", import.meta.url), { type: "module", name });
}

/** Nothing becomes stale by age or by a look at another window: the stream says what changed. */
const FRESH_BY_EVENTS = {
  staleTime: Number.POSITIVE_INFINITY,
  refetchOnWindowFocus: false,
  refetchOnReconnect: false,
  networkMode: "always",
} as const;

function retryTemporary(failures: number, error: Error): boolean {
  return failures < 3 && isTemporary(error);
}

function followSession({ session, queries, cache, activity, live }: Services): void {
  let known = session.current.get();
  if (known !== undefined) live.start();
  session.current.subscribe(() => {
    const next = session.current.get();
    if (next?.id !== known?.id) {
      live.stop();
      queries.clear();
      cache.clear();
      activity.clear();
      if (next !== undefined) live.start();
    } else if (next !== undefined) {
      live.client.useToken(next.accessToken);
    }
    known = next;
  });
}
