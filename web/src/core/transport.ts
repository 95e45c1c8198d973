// What a client needs of whatever carries its frames: a WebSocket of its own (connection.ts), or one that the tabs of a
// browser share (tab.ts, hub.ts).
import type { ServerFrame } from "../gen/events/v1/stream_pb";
import type { ClientFrameInit } from "./codec";
import type { Store } from "./store";

export type ConnectionState =
  | { phase: "stopped" }
  | { phase: "connecting" }
  | { phase: "live" }
  | { phase: "waiting"; retryAt: number }
  /** Not tried again by itself: the server forbids it, or nobody is signed in any more. */
  | { phase: "forbidden" };

export type Frame = ServerFrame["frame"];

/** Where to connect, and how we are let in. Headers are for clients that can set them; a browser's cannot. */
export interface Admission {
  url: string;
  headers?: Record<string, string>;
}

/** Thrown by the application's `auth` (or anything with `permanent: true`): do not try again by yourself. */
export class SignedOutError extends Error {
  readonly permanent = true;

  constructor(message = "nobody is signed in") {
    super(message);
    this.name = "SignedOutError";
  }
}

export function isPermanent(error: unknown): boolean {
  return (error as { permanent?: unknown } | undefined)?.permanent === true;
}

export interface TransportOptions {
  /** `refused`: the last token was (4401), a newer one is needed. A rejection is a failed attempt. */
  admit: (refused: boolean) => Promise<Admission>;
  /** Every frame but Reconnect and Pong; Welcome comes when the state is already live. */
  onFrame: (frame: Frame) => void;
  /** Why there is no connection, where somebody may mend it. */
  onError?: ((error: unknown) => void) | undefined;
  random?: (() => number) | undefined;
}

export interface Transport {
  readonly state: Store<ConnectionState>;
  start: () => void;
  stop: () => void;
  /** Somebody asks: does not wait, not even as long as the server wanted. */
  retryNow: () => void;
  /** Something may have changed (network, visibility): a live connection is proved, a waiting one does not wait on. */
  check: () => void;
  /** Nobody looks: a lost connection is sought again with more patience. */
  setHidden: (hidden: boolean) => void;
  /** False when there is no live connection; nothing is queued. */
  send: (frame: ClientFrameInit) => boolean;
}
