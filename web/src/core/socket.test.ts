import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { mock, test, type TestContext } from "node:test";
import { ClientFrameSchema, ServerFrameSchema } from "../gen/events/v1/stream_pb";
import { EventSocket } from "./socket";

class FakeSocket {
  binaryType = "";
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
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

function setUp(t: TestContext, address: () => Promise<string> = () => Promise.resolve("ws://x")) {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  const sockets: FakeSocket[] = [];
  let refused = 0;
  const socket = new EventSocket({
    address,
    open: () => {
      const fake = new FakeSocket();
      sockets.push(fake);
      return fake as unknown as WebSocket;
    },
    onFrame: () => undefined,
    onTokenRefused: () => Promise.resolve((refused += 1)),
    random: () => 1,
  });
  t.after(() => {
    socket.stop();
    mock.timers.reset();
  });
  const welcome = (): void => sockets.at(-1)?.receive({ case: "welcome", value: { heartbeatSeconds: 20 } });
  return { socket, sockets, welcome, refused: () => refused, phase: () => socket.connection.get().phase };
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
};

/** In steps, so that each timer sees its own time. */
function pass(seconds: number): void {
  for (let i = 0; i < seconds; i += 1) mock.timers.tick(1000);
}

test("live with Welcome; a lost connection is tried again with growing waits", async (t) => {
  const { socket, sockets, welcome, phase } = setUp(t);
  socket.start();
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

test("a path that has died is noticed by asking", async (t) => {
  const { socket, sockets, welcome, phase } = setUp(t);
  socket.start();
  await settle();
  welcome();
  pass(20);
  assert.deepEqual(sockets[0]?.sent, ["ping"]);
  sockets[0]?.receive({ case: "pong", value: {} });
  pass(49);
  assert.equal(phase(), "live");
  pass(11);
  assert.ok(sockets[0]?.closed);
  assert.notEqual(phase(), "live");
});

test("Reconnect waits as long as the server says, or up to half as long again", async (t) => {
  const { socket, sockets, welcome } = setUp(t);
  socket.start();
  await settle();
  welcome();
  sockets[0]?.receive({ case: "reconnect", value: { retryAfterMs: 2000, reason: "shutdown" } });
  assert.deepEqual(socket.connection.get(), { phase: "waiting", retryAt: Date.now() + 3000 });
});

test("4401 renews the token first; 4403 gives up", async (t) => {
  const { socket, sockets, welcome, refused, phase } = setUp(t);
  socket.start();
  await settle();
  welcome();
  sockets[0]?.onclose?.({ code: 4401 });
  await settle();
  assert.equal(refused(), 1);
  mock.timers.tick(500);
  await settle();
  welcome();
  sockets[1]?.onclose?.({ code: 4403 });
  assert.equal(phase(), "forbidden");
});

test("no ticket is a failed attempt; retryNow does not wait; bytes that are no frame end the connection", async (t) => {
  let fail = true;
  const { socket, sockets, welcome, phase } = setUp(t, () => (fail ? Promise.reject(new Error()) : Promise.resolve("")));
  socket.start();
  await settle();
  assert.equal(phase(), "waiting");
  fail = false;
  socket.retryNow();
  await settle();
  welcome();
  assert.equal(phase(), "live");
  sockets[0]?.onmessage?.({ data: "text" });
  assert.equal(phase(), "waiting");
});
