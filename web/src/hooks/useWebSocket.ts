import type { ConnectionState } from "../core";
import { useServices } from "./useServices";
import { useStore } from "./useStore";

export interface WebSocketState {
  connection: ConnectionState;
  retryNow: () => void;
}

/** The state of the live connection; the connection itself belongs to model/live.ts and outlives every component. */
export function useWebSocket(): WebSocketState {
  const { live } = useServices();
  const connection = useStore(live.client.state);
  return { connection, retryNow: () => live.client.retryNow() };
}
