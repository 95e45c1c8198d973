import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ClientFrameSchema, ServerFrameSchema } from "../gen/events/v1/stream_pb";
import { backoffMs } from "./backoff";
import { EventsClient, SignedOutError, type Happening, type SocketLike } from "./index";
import { renewAfterMs, tokenOwner } from "./token";

const jwt = (claims: object): string => `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`;

const settle = async (): Promise<void> => {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
};

class FakeSocket implements SocketLike {
  binaryType = "";
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;
  onerror: SocketLike["onerror"] = null;
  closed = false;
  tokens: string[] = [];
  pings = 0;
  send(bytes: Uint8Array): void {
    const { frame } = fromBinary(ClientFrameSchema, bytes);
    if (frame.case === "refreshToken") this.tokens.push(frame.value.token);
    if (frame.case === "ping") this.pings += 1;
  }
  close(): void {
    this.closed = true;
  }
}

function setUp(token: (stale?: string) => Promise<string>) {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 0 });
  const opened: { url: string; headers: Record<string, string>; socket: FakeSocket }[] = [];
  const errors: unknown[] = [];
  let happen: (what: Happening) => void = () => undefined;
  const client = new EventsClient({
    url: "http://host:1",
    auth: { token },
    open: (url, { headers }) => {
      const socket = new FakeSocket();
      opened.push({ url, headers, socket });
      return socket;
    },
    surroundings: (tell) => {
      happen = tell;
      return () => undefined;
    },
    onError: (error) => errors.push(error),
    random: () => 0,
  });
  const live = async (): Promise<FakeSocket> => {
    await settle();
    const socket = opened.at(-1)?.socket;
    assert.ok(socket, "a socket was opened");
    const welcome = create(ServerFrameSchema, { frame: { case: "welcome", value: { heartbeatSeconds: 3600 } } });
    socket.onmessage?.({ data: new Uint8Array(toBinary(ServerFrameSchema, welcome)).buffer });
    await settle();
    return socket;
  };
  return { client, opened, errors, live, happen: (what: Happening) => happen(what) };
}

test.afterEach(() => mock.timers.reset());

test("the token goes into the header, and is renewed in place before it ends, again after a failure", async () => {
  let until = 100;
  const stales: (string | undefined)[] = [];
  const { client, opened, errors, live } = setUp((stale) => {
    stales.push(stale);
    if (stales.length === 2) return Promise.reject(new Error("503"));
    if (stale !== undefined) until += 100;
    return Promise.resolve(jwt({ exp: until }));
  });
  client.start();
  const socket = await live();
  assert.deepEqual(opened.map(({ url, headers }) => [url, headers.Authorization]), [["ws://host:1/ws/events", `Bearer ${jwt({ exp: 100 })}`]]);
  mock.timers.tick(49_999);
  assert.equal(stales.length, 1);
  mock.timers.tick(1); // half of it is over: a minute before the end would be earlier
  await settle();
  assert.equal(errors.length, 1);
  mock.timers.tick(1000);
  await settle();
  assert.deepEqual(socket.tokens, [jwt({ exp: 200 })]);
  client.useToken(jwt({ exp: 300 })); // somebody else renewed it
  assert.equal(socket.tokens.length, 2);
  assert.equal(opened.length, 1);
  client.stop();
});

test("after 4401 the stale token is named; a sign-out ends the attempts; another user starts anew", async () => {
  const stales: (string | undefined)[] = [];
  let signedOut = false;
  const { client, opened, live } = setUp((stale) => {
    stales.push(stale);
    return signedOut ? Promise.reject(new SignedOutError()) : Promise.resolve("opaque");
  });
  client.start();
  (await live()).onclose?.({ code: 4401 });
  mock.timers.tick(0);
  await settle();
  assert.deepEqual(stales, [undefined, "opaque"]);
  signedOut = true;
  opened.at(-1)?.socket.onclose?.({ code: 1006 });
  mock.timers.tick(0);
  await settle();
  assert.equal(client.state.get().phase, "forbidden");
  client.stop();
  signedOut = false;
  client.start();
  await live();
  assert.equal(client.state.get().phase, "live");
  client.stop();
  assert.ok(opened.every(({ socket }) => socket.closed || socket.onmessage === null));
});

test("who has signed out is asked for no more tokens", async () => {
  let asked = 0;
  const { client, live } = setUp((stale) => {
    asked += 1;
    return stale === undefined ? Promise.resolve(jwt({ exp: 100 })) : Promise.reject(new SignedOutError());
  });
  client.start();
  await live();
  for (let i = 0; i < 120; i += 1) {
    mock.timers.tick(1000);
    await settle();
  }
  assert.equal(asked, 2);
  client.stop();
});

test("a look at the page and a network that comes or goes prove the connection; a page that leaves gives it back", async () => {
  const { client, opened, live, happen } = setUp(() => Promise.resolve("opaque"));
  client.start();
  const socket = await live();
  happen("hidden");
  assert.equal(socket.pings, 0);
  for (const what of ["visible", "offline", "online"] as const) happen(what);
  assert.equal(socket.pings, 3);
  happen("leaving");
  assert.ok(socket.closed);
  happen("returned");
  await live();
  assert.equal(opened.length, 2);
  assert.equal(client.state.get().phase, "live");
  client.stop();
});

test("why there is no connection is told, once until there is one again", async () => {
  let fault: string | undefined = "503";
  const { client, errors, live } = setUp(() => (fault === undefined ? Promise.resolve("opaque") : Promise.reject(new Error(fault))));
  const attempts = async (): Promise<void> => {
    for (let i = 0; i < 3; i += 1) {
      await settle();
      mock.timers.tick(0);
    }
    await settle();
  };
  client.start();
  await attempts();
  fault = "401";
  await attempts();
  assert.deepEqual(errors.map(String), ["Error: 503", "Error: 401"]);
  fault = undefined;
  await attempts();
  const socket = await live();
  fault = "401";
  socket.onclose?.({ code: 4401 });
  await attempts();
  assert.equal(errors.length, 3);
  client.stop();
});

test("who watches the state may throw, even from onError: the stream goes on", async (t) => {
  t.mock.method(console, "warn", () => undefined);
  const { client, errors, live } = setUp(() => Promise.resolve("opaque"));
  const push = errors.push.bind(errors);
  errors.push = (error) => {
    push(error);
    throw new Error("onError's own");
  };
  client.state.subscribe(() => {
    throw new Error("mine");
  });
  const subscription = client.subscribe({ onEvent: () => undefined });
  client.start();
  await live();
  assert.deepEqual([subscription.state, errors.map(String)], ["catching_up", ["Error: mine", "Error: mine"]]);
  client.stop();
});

test("what stop() has ended stays ended", async () => {
  let give: (token: string) => void = () => undefined;
  const { client, opened } = setUp(() => new Promise((resolve) => (give = resolve)));
  client.start();
  const subscription = client.subscribe({ onEvent: () => undefined });
  client.stop();
  give("late");
  await settle();
  assert.deepEqual([opened.length, subscription.state, client.state.get().phase], [0, "ended", "stopped"]);
});

test("waits: all of it by chance, below a limit that doubles up to 30 s", () => {
  const longest = [0, 1, 2, 6, 7, 1000].map((attempt) => backoffMs(attempt, () => 1));
  assert.deepEqual(longest, [500, 1000, 2000, 30_000, 30_000, 30_000]);
  assert.equal(backoffMs(5, () => 0), 0);
});

test("when a token is renewed, and whose it is", () => {
  const cases = [[900_000, 720_000], [100_000, 50_000], [8_000, 4_000], [500, 1_000], [-5, 1_000], [1e15, 2 ** 31 - 1]] as const;
  for (const [left, wait] of cases) assert.equal(renewAfterMs(left, 0), wait);
  assert.equal(tokenOwner(jwt({ sub: "a", tid: "t", scope: "x y" })), tokenOwner(jwt({ sub: "a", tid: "t", scope: "y x", exp: 5 })));
  assert.notEqual(tokenOwner(jwt({ sub: "a", tid: "t", scope: "x" })), tokenOwner(jwt({ sub: "a", tid: "t", scope: "x y" })));
  for (const nobodys of ["opaque", jwt({}), ""]) assert.throws(() => tokenOwner(nobodys));
});
