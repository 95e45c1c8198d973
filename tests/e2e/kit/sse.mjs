// A reader of server-sent events (HTML, section 9.2) over HTTP/1.1 or HTTP/2; remembers what came.
import http from 'node:http';
import http2 from 'node:http2';
import { eventually } from './wait.mjs';

export class EventStream {
  messages = []; // { event, data, json, id }
  comments = 0;
  lastEventId = '';
  ended = false;
  #text = '';
  #message = { event: 'message', data: [] };

  /** Resolves with the answer's head; headers of the client's own may stand in options. */
  static open(client, query = '', { headers = {}, h2 = false } = {}) {
    const it = new EventStream();
    const all = { ...client.authorization, accept: 'text/event-stream', ...headers };
    const url = new URL(`${client.url}/api/events/stream${query}`);
    return h2 ? it.#openH2(url, all) : it.#openH1(url, all);
  }

  #openH1(url, headers) {
    return new Promise((done, fail) => {
      this.request = http.get(url, { headers, agent: false });
      this.request.on('error', (error) => (this.status ? (this.ended = true) : fail(error)));
      this.request.on('response', (reply) => {
        Object.assign(this, { status: reply.statusCode, headers: reply.headers, body: reply });
        this.#read(reply);
        done(this);
      });
    });
  }

  #openH2(url, headers) {
    this.session = http2.connect(url.origin);
    return new Promise((done, fail) => {
      this.session.on('error', fail);
      this.body = this.session.request({ ':path': url.pathname + url.search, ...headers });
      this.body.on('response', (head) => {
        Object.assign(this, { status: head[':status'], headers: head });
        done(this);
      });
      this.#read(this.body);
    });
  }

  #read(body) {
    body.setEncoding('utf8');
    body.on('data', (text) => {
      this.#text += text;
      const lines = this.#text.split('\n');
      this.#text = lines.pop();
      for (const line of lines) this.#line(line);
    });
    body.on('error', () => (this.ended = true));
    body.on('end', () => (this.ended = true));
  }

  #line(line) {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return void this.comments++;
    const [name, value] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
    if (name === 'data') this.#message.data.push(value);
    else if (name === 'event') this.#message.event = value;
    else if (name === 'id') this.lastEventId = value;
    else if (name !== 'retry') throw new Error(`field ${name}`);
  }

  #dispatch() {
    const { event, data } = this.#message;
    this.#message = { event: 'message', data: [] };
    if (!data.length) return;
    this.messages.push({ event, data: data.join('\n'), json: JSON.parse(data.join('\n')), id: this.lastEventId });
  }

  get events() {
    return this.messages.filter((m) => m.event === 'message').map((m) => m.json);
  }

  /** The first message of that type for which test() holds. */
  message(type, test = () => true, ms = 10000) {
    return eventually(`a message ${type}`, () => this.messages.find((m) => m.event === type && test(m.json)), ms, 5);
  }

  end(ms = 10000) {
    return eventually('the end of the stream', () => this.ended, ms, 5);
  }

  close() {
    this.request?.destroy();
    this.session?.destroy();
  }
}
