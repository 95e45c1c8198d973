// The SharedWorker's script: a hub with one connection, and a port for each tab. Which tabs share it is the worker's
// name, made of the user (tab.ts).
import { Connection } from "./connection";
import { Hub, type TabPort } from "./hub";
import { openSocket } from "./platform";

const hub = new Hub((options) => new Connection({ ...options, open: openSocket }));

const scope = globalThis as unknown as { onconnect: (event: { ports: readonly TabPort[] }) => void };

scope.onconnect = ({ ports }) => {
  for (const port of ports) hub.attach(port);
};
