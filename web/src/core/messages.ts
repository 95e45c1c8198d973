// What a tab and the hub in the SharedWorker say to each other. Everything in it can be cloned by postMessage.
//
// No token or ticket goes from the hub to a tab. From a tab come an address with a ticket, when the hub has asked this
// tab for one, and RefreshToken frames; both pass through the hub to the server and are kept nowhere.
import type { ClientFrameInit } from "./codec";
import type { Admission, ConnectionState, Frame } from "./transport";

export type ToHub =
  | { do: "hello"; hidden: boolean }
  /** `generation` is that of the last state the tab heard: a frame for a connection that is gone is dropped. */
  | { do: "frame"; generation: number; frame: ClientFrameInit }
  | { do: "admission"; ask: number; admission: Admission }
  | { do: "refusal"; ask: number; permanent: boolean }
  | { do: "retry" }
  | { do: "check" }
  /** Is the hub there? Answered by a ping. */
  | { do: "ask" }
  | { do: "hidden"; hidden: boolean }
  | { do: "pong"; posted: number }
  | { do: "bye" };

export type ToTab =
  | { is: "state"; generation: number; state: ConnectionState }
  | { is: "frame"; frame: Frame }
  | { is: "admit"; ask: number; refused: boolean }
  /** `posted`: how many events this tab was given so far; comes back in the pong. */
  | { is: "ping"; posted: number }
  /** The hub has forgotten this tab: it did not answer, or there are too many subscriptions ("full"). */
  | { is: "gone"; why: "silent" | "full" };

/** So often the hub asks each tab, which by this knows that the worker is there. */
export const ASK_EVERY_MS = 20_000;

/** A MessagePort, as far as it is used here. */
export interface PortLike<Out, In> {
  postMessage: (message: Out) => void;
  onmessage: ((event: { data: In }) => void) | null;
  close?: () => void;
}
