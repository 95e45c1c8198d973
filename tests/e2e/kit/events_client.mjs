// The client library as the app's build makes it, over the kit's own WebSocket, which checks what a browser would check.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './installation.mjs';
import { WebSocketClient } from './websocket.mjs';

export const LIBRARY = path.join(ROOT, 'web/dist/client/events-client.js');
export const README = readFileSync(path.join(ROOT, 'web/src/core/README.md'), 'utf8');
const { EventsClient } = await import(pathToFileURL(LIBRARY));

function open(url, { protocols, headers }) {
  const socket = { binaryType: '', onmessage: null, onclose: null, onerror: null, closed: false };
  const opening = WebSocketClient.open(url, { protocols, headers });
  opening.then((ws) => {
    if (socket.closed) return ws.close();
    ws.on('message', (bytes) => socket.onmessage?.({ data: Uint8Array.from(bytes).buffer }));
    ws.on('close', (code) => socket.onclose?.({ code }));
  }, () => socket.onclose?.({ code: 1006 }));
  socket.send = (bytes) => opening.then((ws) => ws.send(bytes));
  socket.close = () => {
    socket.closed = true;
    opening.then((ws) => ws.close(), () => {});
  };
  return socket;
}

/** A started EventsClient for a user of kit/client.mjs; `phases` and `errors` are what it went through. */
export function eventsClient(client, auth = { token: async () => client.token }) {
  const errors = [];
  const it = new EventsClient({ url: client.url, auth, open, onError: (error) => errors.push(error) });
  const phases = [];
  it.state.subscribe(() => phases.push(it.state.get().phase));
  it.start();
  return Object.assign(it, { phases, errors });
}
