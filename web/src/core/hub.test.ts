// Several tabs over one connection: real clients, a real hub, ports that clone what goes through them; only the socket and
// the clock are not real.
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { mock, test, type TestContext } from "node:test";
import { EnvelopeSchema, type Envelope } from "../gen/events/v1/envelope_pb";
import { ClientFrameSchema, ServerFrameSchema, type ClientFrame } from "../gen/events/v1/stream_pb";
import { EventsClient, type Auth } from "./client";
import { Connection, type SocketLike } from "./connection";
import { Hub, type TabPort } from "./hub";
import type { ToHub, ToTab } from "./messages";
import type { SubscriptionOptions } from "./subscriptions";
import type { WorkerLike } from "./tab";

type FrameInit = NonNullable<MessageInitShape<typeof ServerFrameSchema>["frame"]>;

class FakeSocket implements SocketLike {
  binaryType = "";
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;
  onerror: SocketLike["onerror"] = null;
  closed = false;
  readonly url: string;
  readonly sent: ClientFrame["frame"][] = [];
  constructor(url: string) {
    this.url = url;
  }
  send(bytes: Uint8Array): void {
    this.sent.push(fromBinary(ClientFrameSchema, bytes).frame);
  }
  close(): void {
    this.closed = true;
  }
  receive(frame: FrameInit): void {
    const bytes = toBinary(ServerFrameSchema, create(ServerFrameSchema, { frame }));
    this.onmessage?.({ data: new Uint8Array(bytes).buffer });
  }
  /** The ids of the subscriptions that were asked for and not ended. */
  get subscribed(): number[] {
    const ids = new Set<number>();
    for (const frame of this.sent) {
      if (frame.case === "subscribe") ids.add(frame.value.id);
      if (frame.case === "unsubscribe") assert.ok(ids.delete(frame.value.id), "what is ended was there");
    }
    return [...ids];
  }
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 60; i += 1) await Promise.resolve();
};

const within = new AsyncLocalStorage<FakePort>(); // which tab runs

/** A tab and its end of a MessageChannel; frozen, it does not run: its timers, and what is posted to it, wait. */
class FakePort {
  readonly tab = { onmessage: null as unknown, postMessage: (message: unknown): void => this.#toHub(message as ToHub) };
  hub = this.#end();
  waiting: ToTab[] = [];
  #frozen = false;
  #dead = false;
  readonly #due = new Set<() => void>();

  #end(): TabPort {
    const end: TabPort = { onmessage: null, postMessage: (message) => end === this.hub && this.#toTab(message) };
    return end;
  }
  #toHub(message: ToHub): void {
    if (this.#dead) return;
    const data = structuredClone(message);
    within.exit(() => queueMicrotask(() => this.hub.onmessage?.({ data })));
  }
  #toTab(message: ToTab): void {
    if (this.#dead) return;
    this.waiting.push(structuredClone(message));
    queueMicrotask(() => this.run(() => this.#deliver()));
  }
  #deliver(): void {
    while (this.waiting.length > 0) {
      (this.tab.onmessage as ((event: { data: unknown }) => void) | null)?.({ data: this.waiting.shift() });
    }
  }
  run(work: () => void): void {
    if (this.#frozen) this.#due.add(work);
    else within.run(this, work);
  }
  freeze(): void {
    this.#frozen = true;
  }
  /** The worker is gone, as when the browser has ended its process, and no other comes: nobody is told. */
  die(): void {
    this.#dead = true;
  }
  thaw(): void {
    this.#frozen = false;
    for (const work of this.#due) this.run(work); // timers first, as it may happen
    this.#due.clear();
  }
  /** The worker is gone, but another can be had. */
  lose(): void {
    this.hub = this.#end();
  }
}

/** The timers of a tab are its own. */
function ownTimers(): void {
  for (const name of ["setTimeout", "setInterval"] as const) {
    const set = globalThis[name] as (work: () => void, ms: number) => unknown;
    globalThis[name] = ((work: () => void, ms: number) => {
      const tab = within.getStore();
      return set(tab === undefined ? work : () => tab.run(work), ms);
    }) as never;
  }
}

const jwt = (claims: object): string => `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`;
const demo = jwt({ sub: "u", tid: "t", scope: "b a" });

function setUp(t: TestContext) {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  ownTimers();
  const sockets: FakeSocket[] = [];
  const hubs = new Map<string, Hub>();
  const clients: EventsClient[] = [];
  const open = (url: string): FakeSocket => {
    const socket = new FakeSocket(url);
    sockets.push(socket);
    return socket;
  };
  const openTab = (options: { auth?: Partial<Auth>; worker?: (name: string) => WorkerLike } = {}) => {
    const port = new FakePort();
    const worker = (name: string): WorkerLike => {
      within.exit(() => {
        const hub = hubs.get(name) ?? new Hub((more) => new Connection({ ...more, open, random: () => 0 }));
        hubs.set(name, hub);
        hub.attach(port.hub);
      });
      return { port: port.tab, onerror: null };
    };
    let look = (): void => undefined;
    const client = new EventsClient({
      url: "https://x",
      auth: { token: () => Promise.resolve(demo), ticket: () => Promise.resolve(`of tab ${clients.length}`), ...options.auth },
      worker: options.worker ?? worker,
      open,
      surroundings: (tell) => {
        look = () => port.run(() => tell("visible"));
        return () => undefined;
      },
      onError: () => undefined,
      random: () => 0,
    });
    clients.push(client);
    port.run(() => client.start());
    const got: string[] = [];
    const follow = (more: Partial<SubscriptionOptions> = {}) =>
      client.subscribe({ start: { after: 10n, epoch: "e" }, onEvent: (event) => got.push(event.eventId), ...more });
    return { client, port, got, follow, look: () => look() };
  };
  t.after(() => {
    for (const client of clients) client.stop();
    mock.timers.reset();
  });
  const socket = (): FakeSocket => {
    const last = sockets.at(-1);
    assert.ok(last, "a socket was opened");
    return last;
  };
  const welcome = async (): Promise<void> => {
    await settle();
    socket().receive({ case: "welcome", value: { heartbeatSeconds: 3600, epoch: "e" } });
    await settle();
    for (const id of socket().subscribed) socket().receive({ case: "subscribed", value: { id, position: 10n, caughtUp: true } });
    await settle();
  };
  const send = async (events: Envelope[], position: bigint, ids: number[] = []): Promise<void> => {
    socket().receive({ case: "events", value: { events, position, ids } });
    await settle();
  };
  const pass = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds; i += 1) {
      mock.timers.tick(1000);
      await settle();
    }
  };
  return { sockets, hubs, openTab, socket, welcome, send, pass };
}

const event = (sequence: number, subject = `prospect/${sequence}`): Envelope =>
  create(EnvelopeSchema, { eventId: `e${sequence}`, eventType: "ProspectCreated", subject, sequence: BigInt(sequence) });

test("two tabs share one connection, each with its own filters, ids, positions and repetitions", async (t) => {
  const { sockets, openTab, socket, welcome, send } = setUp(t);
  const [a, b] = [openTab(), openTab()];
  a.follow();
  const second = b.follow({ subjects: ["prospect/12"], start: { after: 11n, epoch: "e" } });
  await welcome();
  assert.equal(sockets.length, 1);
  assert.deepEqual(socket().subscribed, [1, 2]);
  await send([event(11), event(12)], 12n);
  await send([event(12), event(13)], 13n);
  assert.deepEqual([a.got, b.got], [["e11", "e12", "e13"], ["e12"]]);
  assert.equal(second.position, 13n);
});

test("a tab that comes later joins the connection that is there, and its history is for it alone", async (t) => {
  const { sockets, openTab, socket, welcome, send } = setUp(t);
  const a = openTab();
  a.follow();
  await welcome();
  const b = openTab();
  b.follow({ start: { after: 3n, epoch: "e" } });
  await settle();
  assert.equal(sockets.length, 1);
  assert.equal(b.client.state.get().phase, "live");
  await send([event(4)], 10n, [2]);
  assert.deepEqual([a.got, b.got], [[], ["e4"]]);
  socket().receive({ case: "resyncRequired", value: { id: 2, reason: "too_old" } });
  await send([event(11)], 11n);
  assert.deepEqual([a.got, b.got], [["e11"], ["e4"]]);
});

test("after a reconnect every tab goes on from its own position", async (t) => {
  const { openTab, socket, welcome, send, pass } = setUp(t);
  const [a, b] = [openTab(), openTab()];
  a.follow();
  await welcome();
  await send([event(11)], 11n);
  b.follow({ start: { after: 7n, epoch: "e" } });
  await settle();
  socket().onclose?.({ code: 1006 });
  await pass(1);
  await welcome();
  const asked = socket().sent.flatMap((frame) => (frame.case === "subscribe" ? [frame.value.resume.value] : []));
  assert.deepEqual(asked, [11n, 7n]);
});

test("a tab that says good-bye, and one that dies, are unsubscribed; the last one ends the connection", async (t) => {
  const { openTab, socket, welcome, pass } = setUp(t);
  const [a, b, c] = [openTab(), openTab(), openTab()];
  for (const tab of [a, b, c]) tab.follow();
  await welcome();
  a.client.stop();
  await settle();
  assert.deepEqual(socket().subscribed, [2, 3]);
  b.port.freeze(); // for good
  await pass(60);
  assert.deepEqual(socket().subscribed, [2, 3]);
  await pass(21);
  assert.deepEqual(socket().subscribed, [3]);
  assert.equal(socket().closed, false);
  c.client.stop();
  await settle();
  assert.equal(socket().closed, true);
});

test("a tab that was frozen for minutes joins again where it was: nothing is missed, nothing comes twice", async (t) => {
  const { openTab, socket, welcome, send, pass } = setUp(t);
  const [a, b] = [openTab(), openTab()];
  a.follow();
  b.follow();
  await welcome();
  await send([event(11)], 11n);
  b.port.freeze();
  await send([event(12)], 12n);
  await pass(90);
  await send([event(13)], 13n);
  b.port.thaw();
  await settle();
  const again = socket().sent.at(-1);
  assert.ok(again?.case === "subscribe");
  assert.equal(again.value.resume.value, 12n);
  await send([event(13)], 13n, [again.value.id]);
  assert.deepEqual(b.got, ["e11", "e12", "e13"]);
});

test("the worker ends with the page that it lived in: the other tabs make one anew and go on where they were", async (t) => {
  const { sockets, hubs, openTab, socket, welcome, send, pass } = setUp(t);
  const [a, b, c] = [openTab(), openTab(), openTab()];
  for (const tab of [a, b, c]) tab.follow();
  await welcome();
  await send([event(11)], 11n);
  await pass(120); // nothing happens for long, and nobody is taken for dead
  assert.equal(sockets.length, 1);
  hubs.clear();
  for (const tab of [a, b, c]) tab.port.lose();
  a.port.freeze(); // it has crashed
  c.look();
  await pass(5);
  await welcome();
  assert.deepEqual([b, c].map((tab) => tab.client.state.get().phase), ["live", "live"]);
  await pass(45);
  await settle();
  assert.deepEqual([hubs.size, sockets.length, socket().subscribed.length], [1, 2, 2]);
  const asked = socket().sent.flatMap((frame) => (frame.case === "subscribe" ? [frame.value.resume.value] : []));
  assert.deepEqual(asked, [11n, 11n]);
  await send([event(12)], 12n, socket().subscribed);
  assert.deepEqual([b.got, c.got], [["e11", "e12"], ["e11", "e12"]]);
});

test("what waits for a tab that does not run has a bound", async (t) => {
  const { openTab, welcome, send, socket } = setUp(t);
  const [a, b] = [openTab(), openTab()];
  a.follow();
  b.follow();
  await welcome();
  b.port.freeze();
  const thousand = (from: number): Envelope[] => Array.from({ length: 1000 }, (_, i) => event(from + i));
  for (let i = 0; i < 12; i += 1) await send(thousand(11 + i * 1000), BigInt(1010 + i * 1000));
  assert.equal(a.got.length, 12_000);
  assert.ok(b.port.waiting.length < 30, `${b.port.waiting.length} messages wait`);
  assert.deepEqual(socket().subscribed, [1]);
});

test("no tab ever hears of another's token, and another user has another worker", async (t) => {
  const { hubs, sockets, openTab, welcome } = setUp(t);
  const heard: string[] = [];
  const [a, b] = [openTab(), openTab()];
  const spied = b.port.hub.postMessage;
  b.port.hub.postMessage = (message) => {
    heard.push(JSON.stringify(message, (_name, value: unknown) => (typeof value === "bigint" ? String(value) : value)));
    spied(message);
  };
  await welcome();
  a.client.useToken(jwt({ sub: "u", tid: "t", exp: 1 }));
  await settle();
  assert.ok(sockets[0]?.sent.some((frame) => frame.case === "refreshToken"));
  assert.ok(heard.length > 0);
  assert.ok(!heard.some((text) => /ticket|h\.[A-Za-z0-9]/.test(text)), heard.join("\n"));
  openTab({ auth: { token: () => Promise.resolve(jwt({ sub: "u2", tid: "t", scope: "b a" })) } });
  openTab({ auth: { token: () => Promise.resolve(jwt({ sub: "u", tid: "t", scope: "a b" })) } });
  await settle();
  assert.equal(hubs.size, 2);
  assert.equal(sockets.length, 2);
});

test("a tab that cannot let the connection in is passed over", async (t) => {
  const { openTab, socket, welcome, pass } = setUp(t);
  let asked = 0;
  const ticket = (): Promise<string> => Promise.reject(Object.assign(new Error("signed out"), { permanent: (asked += 1) > 0 }));
  const a = openTab({ auth: { ticket } });
  const b = openTab();
  await pass(1);
  await welcome();
  assert.ok(asked > 0);
  assert.match(socket().url, /^wss:\/\/x\/ws\/events\?ticket=of%20tab/);
  assert.deepEqual([a, b].map((tab) => tab.client.state.get().phase), ["live", "live"]);
});

test("one tab is signed out and the other has no network: it is tried again, for the network may come back", async (t) => {
  const { openTab, socket, welcome, pass } = setUp(t);
  let network = true;
  const fails = (error: Error) => () => (network ? Promise.resolve("ticket") : Promise.reject(error));
  const tabs = [
    openTab({ auth: { ticket: fails(new TypeError("Failed to fetch")) } }),
    openTab({ auth: { ticket: fails(Object.assign(new Error("signed out"), { permanent: true })) } }),
  ];
  await welcome();
  network = false;
  socket().onclose?.({ code: 1006 });
  await pass(1);
  assert.ok(tabs.every(({ client }) => client.state.get().phase !== "forbidden"));
  network = true;
  await pass(1);
  await welcome();
  assert.deepEqual(tabs.map(({ client }) => client.state.get().phase), ["live", "live"]);
});

for (const [name, worker] of [
  ["there is none", () => { throw new Error("SharedWorker is not defined"); }],
  ["its script does not answer", () => ({ port: { postMessage: () => undefined, onmessage: null }, onerror: null })],
] as [string, () => WorkerLike][]) {
  test(`without a worker, a tab has a connection of its own: ${name}`, async (t) => {
    const { sockets, openTab, welcome, send, pass } = setUp(t);
    const a = openTab({ worker });
    const phases: string[] = [];
    a.client.state.subscribe(() => phases.push(a.client.state.get().phase));
    a.follow();
    await settle();
    await pass(5);
    await welcome();
    await send([event(11)], 11n);
    assert.deepEqual([a.got, sockets.length, a.client.shared], [["e11"], 1, false]);
    assert.ok(!phases.includes("stopped"), phases.join());
  });
}

test("without a worker, a tab has a connection of its own: it has died, and no other can be made", async (t) => {
  const { openTab, socket, welcome, send, pass } = setUp(t);
  const [a, b] = [openTab(), openTab()];
  a.follow();
  await welcome();
  await send([event(11)], 11n);
  await pass(200); // it lives, and nothing happens
  assert.equal(a.client.shared, true);
  a.port.die();
  await pass(110);
  assert.deepEqual([a.client.shared, b.client.shared], [false, true]);
  await welcome();
  const again = socket().sent.at(-1);
  assert.ok(again?.case === "subscribe");
  assert.equal(again.value.resume.value, 11n);
  await send([event(12)], 12n);
  assert.deepEqual(a.got, ["e11", "e12"]);
});

test("a worker that is kept from connecting is left, and one that has no room", async (t) => {
  const { sockets, openTab, socket, welcome, pass } = setUp(t);
  const a = openTab();
  await settle();
  socket().onclose?.({ code: 1006 });
  await pass(1);
  socket().onclose?.({ code: 1006 });
  await settle();
  assert.equal(a.client.shared, false);
  await welcome();
  assert.equal(a.client.state.get().phase, "live");
  const [b, c] = [openTab(), openTab()];
  await welcome();
  for (let i = 0; i < 30; i += 1) b.follow();
  for (let i = 0; i < 3; i += 1) c.follow();
  await settle();
  assert.deepEqual([b.client.shared, c.client.shared], [true, false]);
  const before = sockets.length;
  await welcome();
  assert.equal(sockets.length, before);
  assert.equal(socket().subscribed.length, 3);
});
