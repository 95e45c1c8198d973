// A REST client of the gateway over HTTP/1.1 (or HTTP/2 with prior knowledge, for one call). Answers come whole:
// { status, headers, body (Buffer), json }.
import http from 'node:http';
import http2 from 'node:http2';
import { eventually } from './wait.mjs';

const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });

function answer(status, headers, chunks) {
  const body = Buffer.concat(chunks);
  const isJson = /json/.test(headers['content-type'] ?? '') && !headers['content-encoding'];
  return { status, headers, body, json: isJson && body.length ? JSON.parse(body) : undefined };
}

export function call(url, { method = 'GET', headers = {}, body } = {}) {
  return new Promise((done, fail) => {
    const request = http.request(url, { method, agent, headers, timeout: 60000 }, (reply) => {
      const chunks = [];
      reply.on('data', (chunk) => chunks.push(chunk));
      reply.on('error', fail);
      reply.on('end', () => {
        try {
          done(answer(reply.statusCode, reply.headers, chunks));
        } catch (error) {
          fail(error);
        }
      });
    });
    request.on('timeout', () => request.destroy(new Error(`no answer from ${method} ${url}`)));
    request.on('error', fail);
    request.end(body);
  });
}

/** One call over HTTP/2: prior knowledge for http:, ALPN for https: (tls: { ca }). */
export function callHttp2(url, { method = 'GET', headers = {}, body, tls = {} } = {}) {
  const { origin, pathname, search } = new URL(url);
  const session = http2.connect(origin, tls);
  return new Promise((done, fail) => {
    session.on('error', fail);
    const stream = session.request({ ':method': method, ':path': pathname + search, ...headers });
    let head;
    const chunks = [];
    stream.on('response', (fields) => (head = fields));
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('error', fail);
    stream.on('end', () => (head ? done(answer(head[':status'], head, chunks)) : fail(new Error('stream without an answer'))));
    stream.setTimeout(60000, () => stream.close(http2.constants.NGHTTP2_CANCEL));
    stream.end(body);
  }).finally(() => session.close());
}

export const JSON_TYPE = { 'content-type': 'application/json' };

export class Client {
  constructor(url, { username, password }) {
    Object.assign(this, { url, username, password });
  }

  /** A client of the installation's demo user, logged in. */
  static demo(installation) {
    return new Client(installation.plainUrl, { username: 'demo', password: installation.password }).login();
  }

  async login() {
    const reply = await call(`${this.url}/api/auth/login`, {
      method: 'POST',
      headers: JSON_TYPE,
      body: JSON.stringify({ username: this.username, password: this.password }),
    });
    if (reply.status !== 200) throw new Error(`login: HTTP ${reply.status} ${reply.body}`);
    this.token = reply.json.accessToken;
    this.tokens = reply.json;
    return this;
  }

  get authorization() {
    return { authorization: `Bearer ${this.token}` };
  }

  get(path, headers = {}) {
    return call(this.url + path, { headers: { ...this.authorization, ...headers } });
  }

  send(method, path, body, headers = {}) {
    const bytes = Buffer.isBuffer(body) || typeof body === 'string' ? body : JSON.stringify(body);
    return call(this.url + path, { method, headers: { ...this.authorization, ...JSON_TYPE, ...headers }, body: bytes });
  }

  post(path, body, headers) {
    return this.send('POST', path, body, headers);
  }

  /** The command's outcome, once it is known. */
  outcome(commandId) {
    return eventually(`the outcome of command ${commandId}`, async () => {
      const { status, json } = await this.get(`/api/commands/${commandId}`);
      if (status !== 200) throw new Error(`GET /api/commands/${commandId}: HTTP ${status} ${JSON.stringify(json)}`);
      return json.status !== 'pending' && json;
    });
  }

  /** Posts a prospect and waits for its outcome. */
  async create(prospect) {
    const reply = await this.post('/api/prospects', prospect);
    if (reply.status !== 202) throw new Error(`POST /api/prospects: HTTP ${reply.status} ${reply.body}`);
    return this.outcome(reply.json.commandId);
  }

  /** Every row of the list, page by page. */
  async list(query = '') {
    const items = [];
    for (let cursor = ''; ;) {
      const { status, json, body } = await this.get(`/api/prospects?limit=200&sort=createdAt${query}${cursor}`);
      if (status !== 200) throw new Error(`GET /api/prospects: HTTP ${status} ${body}`);
      items.push(...json.items);
      if (!json.nextCursor) return items;
      cursor = `&cursor=${encodeURIComponent(json.nextCursor)}`;
    }
  }
}
