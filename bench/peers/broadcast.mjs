// The plainest server on `ws`: what comes on /pub goes to all the others. Operand: the port.
import { WebSocketServer } from 'ws';

const subscribers = new Set();
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), perMessageDeflate: false });
server.on('connection', (socket, request) => {
  if (request.url === '/pub') {
    socket.on('message', (bytes) => subscribers.forEach((each) => each.send(bytes, { binary: true })));
    return;
  }
  subscribers.add(socket);
  socket.on('close', () => subscribers.delete(socket));
});
