import type { Connection } from "../core/socket";
import { useServices } from "./useServices";
import { useStore } from "./useStore";

export interface WebSocketState {
  connection: Connection;
  retryNow: () => void;
}

/** The state of the live connection; the connection itself belongs to core/ and outlives every component. */
export function useWebSocket(): WebSocketState {
  const { live } = useServices();
  const connection = useStore(live.socket.connection);
  return { connection, retryNow: () => live.socket.retryNow() };
}
