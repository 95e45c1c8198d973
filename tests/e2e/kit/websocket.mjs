// A WebSocket client (RFC 6455, 7692, 8441) on Node's sockets: enough for tests, and it checks what a browser would check.
import { createHash, randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { inflateRawSync } from 'node:zlib';
import { decode, encode } from './protobuf.mjs';
import { eventually } from './wait.mjs';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
export const PROTOCOL = 'events.v1.protobuf';

/** Events: 'message' (Buffer, isText), 'close' (code, reason). A refused handshake rejects with error.status. */
export class WebSocketClient extends EventEmitter {
  #rest = Buffer.alloc(0);
  #parts = [];
  #opcode = 0;
  closed = null;
  compressed = 0; // messages that came so

  /** tls: options of tls.connect(), for https: and wss: addresses. overHttp2: by an extended CONNECT. deflate: offered. */
  static open(url, { headers = {}, protocols = [PROTOCOL], tls = {}, overHttp2 = false, deflate = false } = {}) {
    const key = randomBytes(16).toString('base64');
    if (deflate) headers = { 'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits', ...headers };
    if (overHttp2) return WebSocketClient.#openHttp2(url, headers, protocols, tls);
    const address = url.replace(/^ws/, 'http');
    return new Promise((done, fail) => {
      const request = (address.startsWith('https') ? https : http).request(address, {
        ...tls,
        agent: false,
        headers: {
          connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': 13, 'sec-websocket-key': key,
          ...(protocols.length ? { 'sec-websocket-protocol': protocols.join(', ') } : {}),
          ...headers,
        },
      });
      request.on('error', fail);
      request.on('response', (reply) => {
        reply.resume();
        fail(Object.assign(new Error(`the upgrade got HTTP ${reply.statusCode}`), { status: reply.statusCode }));
      });
      request.on('upgrade', (reply, socket, head) => {
        const accept = createHash('sha1').update(key + GUID).digest('base64');
        if (reply.headers['sec-websocket-accept'] !== accept) return fail(new Error('wrong Sec-WebSocket-Accept'));
        const ws = new WebSocketClient(socket);
        ws.protocol = reply.headers['sec-websocket-protocol'];
        ws.extensions = reply.headers['sec-websocket-extensions'];
        done(ws);
        if (head.length) setImmediate(() => ws.#feed(head));
      });
      request.end();
    });
  }

  static #openHttp2(url, headers, protocols, tls) {
    const { origin, pathname, search } = new URL(url);
    const session = http2.connect(origin, tls);
    return new Promise((done, fail) => {
      session.on('error', fail);
      session.on('remoteSettings', (settings) => {
        if (!settings.enableConnectProtocol) return fail(new Error('no SETTINGS_ENABLE_CONNECT_PROTOCOL'));
        const stream = session.request({
          ':method': 'CONNECT', ':protocol': 'websocket', ':path': pathname + search, 'sec-websocket-version': '13',
          ...(protocols.length ? { 'sec-websocket-protocol': protocols.join(', ') } : {}),
          ...headers,
        });
        stream.on('error', fail);
        stream.on('close', () => session.close());
        stream.on('response', (fields) => {
          if (fields[':status'] !== 200) {
            stream.close();
            return fail(Object.assign(new Error(`the CONNECT got HTTP ${fields[':status']}`), { status: fields[':status'] }));
          }
          const ws = new WebSocketClient(stream);
          ws.protocol = fields['sec-websocket-protocol'];
          ws.extensions = fields['sec-websocket-extensions'];
          done(ws);
        });
      });
    });
  }

  constructor(socket) {
    super();
    this.socket = socket;
    socket.setNoDelay?.();
    socket.on('data', (bytes) => this.#feed(bytes));
    socket.on('error', () => {});
    socket.on('close', () => this.#end(1006, 'the connection was cut'));
  }

  #end(code, reason) {
    if (this.closed) return;
    this.closed = { code, reason };
    this.emit('close', code, reason);
  }

  #feed(bytes) {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (let used; (used = this.#frame());) this.#rest = this.#rest.subarray(used);
  }

  /** Handles one whole frame; how many bytes it took, 0 where it is not all there. */
  #frame() {
    const b = this.#rest;
    if (b.length < 2) return 0;
    if (b[1] & 0x80) throw new Error('a server must not mask');
    let [head, length] = [2, b[1] & 0x7f];
    if (length === 126) [head, length] = [4, b.length >= 4 ? b.readUInt16BE(2) : Infinity];
    else if (length === 127) [head, length] = [10, b.length >= 10 ? Number(b.readBigUInt64BE(2)) : Infinity];
    if (b.length < head + length) return 0;
    this.#take(b[0], Buffer.from(b.subarray(head, head + length)));
    return head + length;
  }

  #take(first, payload) {
    const opcode = first & 0x0f;
    if (opcode === 9) return this.#write(10, payload);
    if (opcode === 10) return this.emit('pong');
    if (opcode === 8) {
      const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      this.#write(8, payload.subarray(0, 2));
      this.#end(code, payload.subarray(2).toString());
      return this.socket.end();
    }
    if (opcode) this.#opcode = first & 0x4f;
    this.#parts.push(payload);
    if (!(first & 0x80)) return;
    let message = Buffer.concat(this.#parts.splice(0));
    if (this.#opcode & 0x40) {
      if (!this.extensions) throw new Error('compressed, but that was not agreed upon');
      message = inflateRawSync(message, { finishFlush: 2 });
      this.compressed++;
    }
    this.emit('message', message, (this.#opcode & 0x0f) === 1);
  }

  #write(opcode, payload) {
    if (this.socket.destroyed) return;
    const mask = randomBytes(4);
    const length = payload.length;
    const size = length < 126 ? Buffer.from([0x80 | length]) : length < 65536 ? Buffer.alloc(3) : Buffer.alloc(9);
    if (size.length === 3) size[0] = 0x80 | 126, size.writeUInt16BE(length, 1);
    if (size.length === 9) size[0] = 0x80 | 127, size.writeBigUInt64BE(BigInt(length), 1);
    this.socket.write(Buffer.concat([Buffer.from([0x80 | opcode]), size, mask, payload.map((byte, i) => byte ^ mask[i & 3])]));
  }

  send(payload, isText = false) {
    this.#write(isText ? 1 : 2, Buffer.from(payload));
  }

  close(code = 1000) {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.#write(8, payload);
    this.socket.end();
  }
}

/** A connection that speaks events.v1.protobuf and remembers what it got. */
export class EventSocket {
  frames = [];
  events = []; // envelopes in order of arrival
  position = 0;

  static async open(client, { headers = {}, ...options } = {}) {
    const it = new EventSocket();
    it.ws = await WebSocketClient.open(`${client.url}/ws/events`, { headers: { ...client.authorization, ...headers }, ...options });
    it.ws.on('message', (bytes, isText) => it.#take(bytes, isText));
    it.welcome = (await it.frame('welcome')).welcome;
    it.epoch = it.welcome.epoch;
    return it;
  }

  /** Opens and subscribes; resolves once the server has said that it is caught up. */
  static async subscribe(client, subscription = {}) {
    const it = await EventSocket.open(client);
    it.send({ subscribe: { id: 1, ...subscription } });
    await it.frame('subscribed', (s) => s.caughtUp);
    return it;
  }

  #take(bytes, isText) {
    if (isText) throw new Error('a text message came');
    const frame = decode('ServerFrame', bytes);
    frame.at = performance.now();
    this.frames.push(frame);
    if (!frame.events) return;
    this.events.push(...frame.events.events);
    this.position = frame.events.position || this.position;
  }

  send(frame) {
    this.ws.send(encode('ClientFrame', frame));
  }

  /** The first frame of that kind (for which test() holds). */
  frame(kind, test = () => true, ms = 10000) {
    return eventually(`a frame ${kind}`, () => this.frames.find((f) => f[kind] && test(f[kind])), ms, 5);
  }

  /** The first event for which test() holds. */
  event(test, ms = 10000) {
    return eventually('an event', () => this.events.find(test), ms, 5);
  }

  close() {
    this.ws.close();
  }
}
