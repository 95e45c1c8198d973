// Puts the parts together, once, outside React; components reach them through hooks/useServices.ts.
import { QueryClient } from "@tanstack/query-core";
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
  const endpoint = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/events`;
  const open = (address: string, subprotocol: string): WebSocket => new WebSocket(address, subprotocol);
  const live = new Live({ session, api, cache, activity, commands, endpoint, open });
  const services = { session, api, queries, cache, activity, commands, live, notices: new Notices() };
  followSession(services);
  followBrowser(services);
  return services;
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
      live.tokenRenewed(next.accessToken);
    }
    known = next;
  });
}

function followBrowser({ live }: Services): void {
  window.addEventListener("online", () => live.socket.retryNow());
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") live.socket.retryNow();
  });
}
