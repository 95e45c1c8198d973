// A topic in front of events-grid that can be told to refuse, to fail and to count.
import { once } from 'node:events';
import http from 'node:http';
import { freePorts } from './installation.mjs';

export class Topic {
  refuses = null; // a text: 400 for every request that has it
  down = false; // 503 for all
  patience = 0; // seconds that are asked for with it (Retry-After)
  requests = 0;
  last = null; // the body of the last request

  /** To be named as EVENTS_GRID_ENDPOINT before the grid's own address is known: set `target` then. */
  static async start() {
    const it = new Topic();
    const [port] = await freePorts(1);
    it.url = `http://127.0.0.1:${port}`;
    it.server = http.createServer((request, reply) => it.#handle(request, reply)).listen(port, '127.0.0.1');
    await once(it.server, 'listening');
    return it;
  }

  async #handle(request, reply) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    this.requests++;
    this.last = body.toString();
    if (this.down) return reply.writeHead(503, this.patience ? { 'retry-after': this.patience } : {}).end();
    if (this.refuses && body.includes(this.refuses)) return reply.writeHead(400).end();
    const { host, connection, ...headers } = request.headers;
    const onward = http.request(this.target + request.url, { method: request.method, headers }, (answer) => {
      reply.writeHead(answer.statusCode, answer.headers);
      answer.pipe(reply);
    });
    onward.on('error', () => reply.writeHead(503).end());
    onward.end(body);
  }

  stop() {
    this.server.close();
    this.server.closeAllConnections();
  }
}
