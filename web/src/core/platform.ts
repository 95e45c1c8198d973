// What is taken from the platform, by structure: the client needs no types of the DOM and imports nothing of Node.
import type { OpenSocket, SocketLike } from "./connection";

interface Platform {
  WebSocket?: new (url: string, protocols: unknown) => SocketLike;
  document?: { visibilityState?: string; addEventListener: Listen; removeEventListener: Listen };
  addEventListener?: Listen;
  removeEventListener?: Listen;
}
type Listen = (type: string, listener: (event: { persisted?: boolean }) => void) => void;

const platform = globalThis as unknown as Platform;

/** A browser's WebSocket cannot send headers; Node's own takes them beside the protocols. */
export const openSocket: OpenSocket = (url, { protocols, headers }) => {
  const { WebSocket } = platform;
  if (WebSocket === undefined) throw new Error("there is no WebSocket here: give `open`");
  return new WebSocket(url, Object.keys(headers).length === 0 ? protocols : { protocols, headers });
};

export type Happening = "online" | "offline" | "visible" | "hidden" | "leaving" | "returned";

/** Tells what happens around a page. Returns the function that ends it. */
export type Surroundings = (tell: (what: Happening) => void) => () => void;

/** The browser's events; where there is none, nothing ever happens. */
export const browserSurroundings: Surroundings = (tell) => {
  const { document } = platform;
  if (document === undefined || platform.addEventListener === undefined) return () => undefined;
  const onPage: Record<string, (event: { persisted?: boolean }) => void> = {
    online: () => tell("online"),
    offline: () => tell("offline"),
    pagehide: () => tell("leaving"),
    pageshow: ({ persisted }) => persisted === true && tell("returned"),
  };
  const seen = (): void => tell(document.visibilityState === "hidden" ? "hidden" : "visible");
  for (const [type, listener] of Object.entries(onPage)) platform.addEventListener(type, listener);
  document.addEventListener("visibilitychange", seen);
  if (document.visibilityState === "hidden") tell("hidden");
  return () => {
    for (const [type, listener] of Object.entries(onPage)) platform.removeEventListener?.(type, listener);
    document.removeEventListener("visibilitychange", seen);
  };
};
