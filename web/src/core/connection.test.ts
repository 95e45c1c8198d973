import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { mock, test, type TestContext } from "node:test";
import { ClientFrameSchema, ServerFrameSchema } from "../gen/events/v1/stream_pb";
import { Connection, type SocketLike } from "./connection";
import { SignedOutError, type Admission } from "./transport";

class FakeSocket implements SocketLike {
  binaryType = "";
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  closed = false;
  sent: string[] = [];
  send(bytes: Uint8Array): void {
    this.sent.push(String(fromBinary(ClientFrameSchema, bytes).frame.case));
  }
  close(): void {
    this.closed = true;
  }
  receive(frame: NonNullable<MessageInitShape<typeof ServerFrameSchema>["frame"]>): void {
    const bytes = toBinary(ServerFrameSchema, create(ServerFrameSchema, { frame }));
    this.onmessage?.({ data: new Uint8Array(bytes).buffer });
  }
}

function setUp(t: TestContext, admit: (refused: boolean) => Promise<Admission> = () => Promise.resolve({ url: "ws://x" })) {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  const sockets: FakeSocket[] = [];
  const refusals: boolean[] = [];
  const frames: string[] = [];
  const errors: string[] = [];
  const connection = new Connection({
    admit: (refused) => {
      refusals.push(refused);
      return admit(refused);
    },
    open: () => {
      const fake = new FakeSocket();
      sockets.push(fake);
      return fake;
    },
    onFrame: (frame) => frames.push(String(frame.case)),
    onError: (error) => errors.push(String(error)),
    random: () => 1,
  });
  t.after(() => {
    connection.stop();
    mock.timers.reset();
  });
  const welcome = (): void => sockets.at(-1)?.receive({ case: "welcome", value: { heartbeatSeconds: 20 } });
  const live = async (): Promise<void> => {
    connection.start();
    await settle();
    welcome();
  };
  return { connection, sockets, frames, errors, refusals, welcome, live, phase: () => connection.state.get().phase };
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
};

/** In steps, so that each timer sees its own time. */
function pass(seconds: number): void {
  for (let i = 0; i < seconds; i += 1) mock.timers.tick(1000);
}

test("live with Welcome; a lost connection is tried again with growing waits", async (t) => {
  const { connection, sockets, welcome, phase } = setUp(t);
  connection.start();
  await settle();
  assert.equal(phase(), "connecting");
  welcome();
  assert.equal(phase(), "live");
  for (const wait of [500, 1000, 2000]) {
    const before = sockets.length;
    sockets.at(-1)?.onclose?.({ code: 1006 });
    assert.equal(phase(), "waiting");
    mock.timers.tick(wait - 1);
    await settle();
    assert.equal(sockets.length, before);
    mock.timers.tick(1);
    await settle();
    assert.equal(sockets.length, before + 1);
  }
});

test("an admission that never comes is given up, and one that comes too late lets nobody in", async (t) => {
  const given: ((admission: Admission) => void)[] = [];
  const { connection, sockets, refusals, phase } = setUp(t, () => new Promise((resolve) => given.push(resolve)));
  connection.start();
  pass(59);
  assert.equal(phase(), "connecting");
  pass(2);
  await settle();
  assert.equal(refusals.length, 2);
  given[0]?.({ url: "ws://late" });
  await settle();
  assert.equal(sockets.length, 0);
  given[1]?.({ url: "ws://x" });
  await settle();
  assert.equal(sockets.length, 1);
  pass(14); // the other wait is the socket's from its opening on
  assert.equal(phase(), "connecting");
});

test("a path that has died is noticed by asking", async (t) => {
  const { sockets, live, phase } = setUp(t);
  await live();
  pass(20);
  assert.deepEqual(sockets[0]?.sent, ["ping"]);
  sockets[0]?.receive({ case: "pong", value: {} });
  pass(49);
  assert.equal(phase(), "live");
  pass(11);
  assert.ok(sockets[0]?.closed);
  assert.notEqual(phase(), "live");
});

test("Reconnect waits as long as the server says, or up to half as long again; a look at the page does not shorten it", async (t) => {
  const { connection, sockets, live } = setUp(t);
  await live();
  sockets[0]?.receive({ case: "reconnect", value: { retryAfterMs: 2000, reason: "shutdown" } });
  const until = { phase: "waiting", retryAt: Date.now() + 3000 };
  assert.deepEqual(connection.state.get(), until);
  connection.check();
  assert.deepEqual(connection.state.get(), until);
  connection.retryNow(); // somebody asks
  mock.timers.tick(0);
  assert.equal(connection.state.get().phase, "connecting");
});

test("a server cannot send us away for days", async (t) => {
  const { connection, sockets, live } = setUp(t);
  await live();
  sockets[0]?.receive({ case: "reconnect", value: { retryAfterMs: 2 ** 32 - 1, reason: "" } });
  assert.deepEqual(connection.state.get(), { phase: "waiting", retryAt: Date.now() + 450_000 });
});

test("4401 asks for a newer token; 4403 gives up until somebody asks", async (t) => {
  const { connection, sockets, live, welcome, refusals, phase } = setUp(t);
  await live();
  sockets[0]?.onclose?.({ code: 4401 });
  mock.timers.tick(500);
  await settle();
  assert.deepEqual(refusals, [false, true]);
  welcome();
  sockets[1]?.onclose?.({ code: 4403 });
  assert.equal(phase(), "forbidden");
  pass(600);
  connection.check();
  assert.equal(phase(), "forbidden");
  connection.retryNow();
  await settle();
  assert.deepEqual(refusals, [false, true, false]);
});

test("turned away at the door three times, it asks once for a newer token and says why", async (t) => {
  const { connection, sockets, welcome, refusals, errors } = setUp(t);
  connection.start();
  await settle();
  const turnAway = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i += 1) {
      sockets.at(-1)?.onerror?.({ message: "Unexpected server response: 401" });
      sockets.at(-1)?.onclose?.({ code: 1006 });
      mock.timers.tick(30_000);
      await settle();
    }
  };
  await turnAway(5);
  assert.deepEqual(refusals, [false, false, false, true, false, false]);
  assert.deepEqual(errors, ["Error: no stream: 3 times closed with 1006 before its Welcome: Unexpected server response: 401"]);
  welcome();
  sockets.at(-1)?.onclose?.({ code: 1006 }); // this one had been let in
  mock.timers.tick(30_000);
  await settle();
  await turnAway(3);
  assert.deepEqual(refusals.slice(6), [false, false, false, true]);
  assert.equal(errors.length, 2);
});

test("no admission is a failed attempt; a sign-out is the end; retryNow does not wait", async (t) => {
  let fault: Error | undefined = new Error("no network");
  const { connection, live, welcome, phase, sockets, errors } = setUp(t, () => (fault ? Promise.reject(fault) : Promise.resolve({ url: "" })));
  await live();
  assert.equal(phase(), "waiting");
  assert.deepEqual(errors, ["Error: no network"]);
  fault = undefined;
  connection.retryNow();
  mock.timers.tick(0);
  await settle();
  welcome();
  assert.equal(phase(), "live");
  fault = new SignedOutError();
  sockets[0]?.onclose?.({ code: 4401 });
  mock.timers.tick(1000);
  await settle();
  assert.equal(phase(), "forbidden");
});

test("a check proves a live connection within 5 s", async (t) => {
  const { connection, sockets, live, phase } = setUp(t);
  await live();
  connection.check();
  mock.timers.tick(4000);
  sockets[0]?.receive({ case: "pong", value: {} });
  pass(10);
  assert.equal(phase(), "live");
  connection.check();
  mock.timers.tick(5000);
  assert.ok(sockets[0]?.closed);
});

test("nobody looks: more patience", async (t) => {
  const { connection, sockets, live } = setUp(t);
  await live();
  connection.setHidden(true);
  sockets[0]?.onclose?.({ code: 1006 });
  assert.deepEqual(connection.state.get(), { phase: "waiting", retryAt: Date.now() + 16_000 });
});

test("bytes that are no frame end the connection; a frame of tomorrow does not; Pong and Reconnect stay here", async (t) => {
  const { sockets, live, frames, phase } = setUp(t);
  await live();
  sockets[0]?.receive({ case: "pong", value: {} });
  sockets[0]?.onmessage?.({ data: new Uint8Array([0xfa, 0x01, 0x00]).buffer }); // field 31
  assert.equal(phase(), "live");
  assert.deepEqual(frames, ["welcome", "undefined"]);
  sockets[0]?.onmessage?.({ data: "text" });
  assert.equal(phase(), "waiting");
});

test("without a Welcome within 15 s it is tried again", async (t) => {
  const { connection, sockets, phase } = setUp(t);
  connection.start();
  await settle();
  pass(15);
  assert.ok(sockets[0]?.closed);
  assert.equal(phase(), "waiting");
});
