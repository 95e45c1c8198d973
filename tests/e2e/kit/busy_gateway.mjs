// A server that answers like a gateway in trouble: throttles, fails, cuts connections, forgets tokens. It
// checks what a well-behaved client must keep to.
import http from 'node:http';

const part = (object) => Buffer.from(JSON.stringify(object)).toString('base64url');

export class BusyGateway {
  commands = new Map(); // command id -> { body, polls, posts }
  accepted = []; // command ids in order of their first 202
  logins = 0;
  refreshes = 0;
  inFlight = 0;
  mostInFlight = 0;
  quietUntil = 0; // after a 429 or 503: no post may come earlier
  early = 0;
  #sockets = new Set();
  #token = 0;

  constructor(plan = {}) {
    this.plan = plan; // trouble(kind, count): undefined (go on) or { status, headers, cut }; holds(gateway): stay pending
  }

  static async start(plan) {
    const it = new BusyGateway(plan);
    it.server = http.createServer((request, reply) => it.#take(request, reply));
    it.server.on('connection', (socket) => {
      it.#sockets.add(socket);
      socket.on('close', () => it.#sockets.delete(socket));
    });
    await new Promise((done) => it.server.listen(0, '127.0.0.1', done));
    it.url = `http://127.0.0.1:${it.server.address().port}`;
    return it;
  }

  stop() {
    this.server.close();
    this.cutAll();
  }

  cutAll() {
    for (const socket of this.#sockets) socket.destroy();
  }

  #tokens() {
    const accessToken = `${part({ alg: 'ES256', typ: 'JWT' })}.${part({ tid: 'demo', n: ++this.#token })}.${part('x')}`;
    this.token = accessToken;
    return { accessToken, refreshToken: `refresh-${this.#token}`, tokenType: 'Bearer', expiresIn: 900 };
  }

  forgetToken() {
    this.token = 'none';
  }

  async #take(request, reply) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const answer = (status, json, headers = {}) => {
      if (reply.destroyed || reply.stream?.destroyed) return;
      reply.writeHead(status, { 'content-type': 'application/json', ...headers });
      reply.end(JSON.stringify(json));
    };
    if (request.url === '/api/auth/login') return this.logins++, answer(200, this.#tokens());
    if (request.url === '/api/auth/refresh') return this.refreshes++, answer(200, this.#tokens());
    if (request.headers.authorization !== `Bearer ${this.token}`) return answer(401, { type: '/problems/unauthenticated' });
    if (request.method === 'POST') return this.#post(JSON.parse(body), answer);
    return this.#ask(request.url.split('/').at(-1), answer);
  }

  #trouble(kind, count, answer) {
    const trouble = this.plan.trouble?.(kind, count);
    if (!trouble) return false;
    if (trouble.cut) this.cutAll();
    else answer(trouble.status, { type: '/problems/busy' }, trouble.headers);
    const wait = Number(trouble.headers?.['retry-after'] ?? 0);
    if (wait) this.quietUntil = Math.max(this.quietUntil, Date.now() + wait * 1000);
    return true;
  }

  #post(body, answer) {
    this.posts = (this.posts ?? 0) + 1;
    // what was on its way when the 429 was sent may still come in, on a loaded machine for a good while
    if (Date.now() > this.quietUntil - 400 && Date.now() < this.quietUntil - 50) this.early++;
    if (this.#trouble('post', this.posts, answer)) return;
    const known = this.commands.get(body.commandId);
    if (known && JSON.stringify(known.body) !== JSON.stringify(body)) return answer(422, { type: '/problems/idempotency_conflict' });
    if (!known) {
      this.commands.set(body.commandId, { body, polls: 0 });
      this.accepted.push(body.commandId);
      this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    }
    answer(202, { commandId: body.commandId, correlationId: 'x' });
  }

  #ask(id, answer) {
    this.asks = (this.asks ?? 0) + 1;
    if (this.#trouble('ask', this.asks, answer)) return;
    const command = this.commands.get(id);
    if (!command) return answer(404, { type: '/problems/not_found' });
    if (command.polls++ < 2 || this.plan.holds?.(this)) return answer(200, { commandId: id, status: 'pending' });
    if (!command.done) this.inFlight--, (command.done = true);
    const outcome = this.plan.outcome?.(command.body) ?? { status: 'succeeded' };
    answer(200, { commandId: id, ...outcome });
  }
}
