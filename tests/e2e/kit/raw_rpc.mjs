// Calls made of bytes: for what no client library would send, and to see what really comes back.
import http2 from 'node:http2';

/** One frame of gRPC. */
export function frame(message, flags = 0) {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** The frames of a body: [{ flags, message }]. */
export function frames(body) {
  const found = [];
  for (let at = 0; at < body.length;) {
    const length = body.readUInt32BE(at + 1);
    found.push({ flags: body[at], message: body.subarray(at + 5, at + 5 + length) });
    at += 5 + length;
  }
  return found;
}

/** A connection over which raw calls go. */
export class RawRpc {
  constructor(url) {
    this.session = http2.connect(url);
    this.session.on('error', () => {});
  }

  close() {
    this.session.close();
  }

  /** body: a Buffer, or several that are sent as DATA frames of their own; they follow the head once `after` has resolved. */
  call(path, { method = 'POST', type = 'application/grpc', headers = {}, body = [], end = true, after } = {}) {
    return new Promise((done, fail) => {
      const stream = this.session.request({ ':method': method, ':path': path, te: 'trailers',
        ...(type ? { 'content-type': type } : {}), ...headers }, { endStream: false });
      const it = { status: 0, headers: {}, trailers: {}, endsWithHead: false };
      const chunks = [];
      stream.on('response', (fields, flags) => {
        it.headers = fields;
        it.status = fields[':status'];
        it.endsWithHead = Boolean(flags & http2.constants.NGHTTP2_FLAG_END_STREAM);
      });
      stream.on('trailers', (fields) => (it.trailers = fields));
      stream.on('data', (chunk) => chunks.push(chunk));
      stream.on('error', () => {});
      stream.on('close', () => {
        it.body = Buffer.concat(chunks);
        it.reset = stream.rstCode;
        it.grpcStatus = Number(it.trailers['grpc-status'] ?? it.headers['grpc-status']);
        it.grpcMessage = it.trailers['grpc-message'] ?? it.headers['grpc-message'];
        done(it);
      });
      stream.setTimeout(20000, () => fail(new Error(`no answer to ${path}`)));
      Promise.resolve(after).then(() => {
        for (const part of [body].flat()) stream.write(part);
        if (end) stream.end();
      });
    });
  }
}
