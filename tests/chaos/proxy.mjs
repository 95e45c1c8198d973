// A webhook's way through a bad network: deliveries get lost (the grid is told 200, and nobody has them), come twice, come
// late, and come after others (the grid is told 200, and sends the next).
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { random } from './random.mjs';

const CALM = { lose: 0, double: 0, delay: 0, overtaken: 0 };

export class Proxy {
  mood = CALM;
  lost = 0;
  doubled = 0;
  delayed = 0;
  overtaken = 0;

  /** target: () => 'http://host:port', known later than the proxy's own address. */
  static async start(name, seed, target) {
    const it = new Proxy();
    it.dice = random(seed, `proxy ${name}`);
    it.target = target;
    it.server = http.createServer((request, reply) => it.#take(request, reply).catch(() => reply.destroy()));
    it.server.listen(0, '127.0.0.1');
    await once(it.server, 'listening');
    it.address = `127.0.0.1:${it.server.address().port}`;
    return it;
  }

  calm() {
    this.mood = CALM;
  }

  async #take(request, reply) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const { lose, double, delay, overtaken = 0 } = request.method === 'POST' ? this.mood : CALM;
    if (this.dice.chance(lose)) {
      this.lost++;
      reply.writeHead(200).end();
      return;
    }
    if (this.dice.chance(overtaken)) {
      this.overtaken++;
      reply.writeHead(200).end();
      await sleep(this.dice.below(1000));
      await this.#forward(request, body).catch(() => {});
      return;
    }
    if (this.dice.chance(delay)) {
      this.delayed++;
      await sleep(this.dice.below(2500));
    }
    if (this.dice.chance(double)) {
      this.doubled++;
      await this.#forward(request, body).catch(() => {});
    }
    const { status, headers, text } = await this.#forward(request, body).catch(() => ({ status: 503, headers: {}, text: '' }));
    reply.writeHead(status, headers).end(text);
  }

  #forward(request, body) {
    return new Promise((done, fail) => {
      const onward = http.request(this.target() + request.url, { method: request.method, headers: request.headers, agent: false, timeout: 10000 },
        async (answer) => {
          const chunks = [];
          try {
            for await (const chunk of answer) chunks.push(chunk);
          } catch (error) {
            fail(error);
          }
          const { connection, 'transfer-encoding': coding, 'keep-alive': alive, ...headers } = answer.headers;
          done({ status: answer.statusCode, headers, text: Buffer.concat(chunks) });
        });
      onward.on('timeout', () => onward.destroy(new Error('no answer')));
      onward.on('error', fail);
      onward.end(body);
    });
  }

  async stop() {
    this.server.close();
    this.server.closeAllConnections();
  }
}
