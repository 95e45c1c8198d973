import { create, type MessageInitShape } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { test } from "node:test";
import { EnvelopeSchema, type Envelope } from "../gen/events/v1/envelope_pb";
import { ServerFrameSchema } from "../gen/events/v1/stream_pb";
import type { ClientFrameInit } from "./codec";
import { matches, Subscriptions, type Start, type SubscriptionOptions } from "./subscriptions";

type FrameInit = NonNullable<MessageInitShape<typeof ServerFrameSchema>["frame"]>;

function setUp() {
  const sent: ClientFrameInit[] = [];
  const arrived: string[] = [];
  const errors: unknown[] = [];
  const subscriptions = new Subscriptions({
    send: (frame) => sent.push(frame) > 0,
    onArrival: (event) => arrived.push(event.eventId),
    onError: (error) => errors.push(error),
    later: (work) => work(),
  });
  const receive = (frame: FrameInit): void => subscriptions.handle(create(ServerFrameSchema, { frame }).frame);
  const subscribe = (more: Partial<SubscriptionOptions> = {}) => {
    const got: string[] = [];
    const ends: string[] = [];
    const subscription = subscriptions.add({
      start: { after: 10n, epoch: "e" },
      onEvent: (event) => got.push(event.eventId),
      onEnd: (code) => ends.push(code),
      ...more,
    });
    return { got, ends, subscription };
  };
  const welcome = (epoch = "e"): void => receive({ case: "welcome", value: { position: 10n, heartbeatSeconds: 20, epoch } });
  const subscribed = (id: number, position = 10n): void => receive({ case: "subscribed", value: { id, position, caughtUp: true } });
  return { sent, arrived, errors, subscriptions, receive, subscribe, welcome, subscribed };
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
};

const event = (sequence: bigint, id = `e${sequence}`): Envelope =>
  create(EnvelopeSchema, { eventId: id, eventType: "ProspectCreated", subject: `prospect/${sequence}`, sequence });

test("nothing is asked before Welcome; then the subscription goes out with its position and epoch", () => {
  const { sent, subscribe, welcome } = setUp();
  subscribe();
  assert.equal(sent.length, 0);
  welcome();
  const frame = sent[0];
  assert.ok(frame?.case === "subscribe");
  assert.deepEqual(frame.value.resume, { case: "after", value: 10n });
  assert.equal(frame.value.epoch, "e");
});

test("an event is delivered once, and the position forgets the ids below it", () => {
  const { receive, subscribe, welcome } = setUp();
  const { got, subscription } = subscribe();
  welcome();
  receive({ case: "subscribed", value: { id: 1, position: 10n, caughtUp: true } });
  receive({ case: "events", value: { events: [event(12n), event(11n)], position: 10n } });
  receive({ case: "events", value: { events: [event(11n), event(12n)], position: 12n } });
  receive({ case: "events", value: { events: [event(12n), event(13n)], position: 13n } });
  assert.deepEqual(got, ["e12", "e11", "e13"]);
  assert.equal(subscription.position, 13n);
});

test("a reconnect resumes from the latest position", () => {
  const { sent, subscriptions, receive, subscribe, welcome } = setUp();
  subscribe();
  welcome();
  receive({ case: "subscribed", value: { id: 1, position: 10n, caughtUp: true } });
  receive({ case: "events", value: { events: [], position: 40n } });
  subscriptions.disconnected();
  welcome();
  const again = sent.at(-1);
  assert.ok(again?.case === "subscribe");
  assert.deepEqual(again.value.resume, { case: "after", value: 40n });
  assert.notEqual(again.value.id, 1);
});

test("live batches are not for a subscription that is still catching up", () => {
  const { receive, subscribe, welcome } = setUp();
  const one = subscribe();
  const two = subscribe({ start: { after: 0n, epoch: "e" } });
  welcome();
  receive({ case: "subscribed", value: { id: 1, position: 10n, caughtUp: true } });
  receive({ case: "subscribed", value: { id: 2, position: 0n, caughtUp: false } });
  receive({ case: "events", value: { events: [event(11n)], position: 0n } });
  receive({ case: "events", value: { events: [event(3n), event(11n)], position: 5n, ids: [2] } });
  assert.deepEqual(one.got, ["e11"]);
  assert.deepEqual(two.got, ["e3", "e11"]);
  assert.equal(one.subscription.position, 10n);
  assert.equal(two.subscription.position, 5n);
});

test("who has fallen behind waits for its history: what is live for another subscription does not overtake it", () => {
  const { receive, subscribe, welcome, subscribed } = setUp();
  const [one, two] = [subscribe(), subscribe()];
  welcome();
  subscribed(1);
  subscribed(2);
  receive({ case: "resyncRequired", value: { reason: "lagging", position: 10n } });
  for (const id of [1, 2]) receive({ case: "subscribed", value: { id, position: 10n, caughtUp: false } });
  receive({ case: "events", value: { events: [event(11n)], position: 10n, ids: [1] } });
  subscribed(1, 11n);
  receive({ case: "events", value: { events: [event(12n)], position: 10n } });
  receive({ case: "events", value: { events: [event(11n), event(12n)], position: 12n, ids: [2] } });
  assert.deepEqual([one.got, two.got], [["e11", "e12"], ["e11", "e12"]]);
  assert.deepEqual([one.subscription.state, two.subscription.state], ["live", "catching_up"]);
});

test("lagging goes on by itself; any other resync ends a subscription that cannot load anew", () => {
  const { receive, subscribe, welcome, subscribed } = setUp();
  const { ends, got, subscription } = subscribe();
  welcome();
  subscribed(1);
  receive({ case: "resyncRequired", value: { reason: "lagging", position: 10n } });
  assert.equal(subscription.state, "live");
  receive({ case: "resyncRequired", value: { reason: "too_old", id: 1 } });
  assert.deepEqual(ends, ["too_old"]);
  receive({ case: "events", value: { events: [event(11n)], position: 11n } });
  assert.deepEqual(got, []);
});

test("a resync loads anew, again while that fails, and goes on from there", async () => {
  const { sent, errors, receive, subscribe, welcome, subscribed } = setUp();
  const answers = [new Error("503"), { after: 5n, epoch: "f" }];
  const reasons: string[] = [];
  const { got, subscription } = subscribe({
    reload: (reason) => {
      reasons.push(reason);
      const answer = answers.shift();
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer as Start);
    },
  });
  welcome("f");
  receive({ case: "resyncRequired", value: { reason: "epoch", id: 1 } });
  assert.equal(subscription.state, "reloading");
  await settle();
  assert.deepEqual([reasons, errors.length], [["epoch", "epoch"], 1]);
  const again = sent.at(-1);
  assert.ok(again?.case === "subscribe");
  assert.deepEqual([again.value.resume?.value, again.value.epoch], [5n, "f"]);
  subscribed(2, 5n);
  receive({ case: "events", value: { events: [event(6n)], position: 6n } });
  assert.deepEqual(got, ["e6"]); // numbers of the new log, below those of the old one
});

test("a reload is not disturbed by a reconnect, and one that was closed meanwhile stays closed", async () => {
  const { sent, subscriptions, receive, subscribe, welcome } = setUp();
  let loaded: (start: Start) => void = () => undefined;
  const { subscription } = subscribe({ reload: () => new Promise((resolve) => (loaded = resolve)) });
  welcome();
  receive({ case: "resyncRequired", value: { reason: "too_old", id: 1 } });
  subscriptions.disconnected();
  welcome();
  assert.equal(sent.length, 1);
  subscription.close();
  loaded({ after: 1n, epoch: "e" });
  await settle();
  assert.equal(sent.length, 1);
});

test("an Error frame ends the subscription it is about; others are told", () => {
  const { errors, receive, subscribe, welcome } = setUp();
  const { ends, subscription } = subscribe();
  welcome();
  receive({ case: "error", value: { code: "forbidden", message: "m", id: 1 } });
  receive({ case: "error", value: { code: "unknown_frame", message: "m" } });
  assert.deepEqual([ends, subscription.state], [["forbidden"], "ended"]);
  subscribe({ onEnd: undefined });
  receive({ case: "error", value: { code: "invalid_subject", message: "a subject is type/id or type/*", id: 2 } });
  assert.equal(String(errors.at(-1)), "Error: a subscription has ended: invalid_subject: a subject is type/id or type/*");
  assert.match(String(errors[0]), /unknown_frame: m/);
});

test("a handler that throws takes nothing from the others", async () => {
  const { errors, receive, subscribe, welcome, subscribed } = setUp();
  subscribe({
    onEvent: () => {
      throw new Error("mine");
    },
  });
  subscribe({ onEvent: () => Promise.reject(new Error("later")) as unknown as undefined });
  const { got } = subscribe();
  welcome();
  for (const id of [1, 2, 3]) subscribed(id);
  receive({ case: "events", value: { events: [event(11n), event(12n)], position: 12n } });
  assert.deepEqual(got, ["e11", "e12"]);
  await settle();
  assert.deepEqual(errors.map(String), ["Error: mine", "Error: mine", "Error: later", "Error: later"]);
});

test("presence is asked for where somebody listens, and told by subject", () => {
  const { sent, receive, subscribe, welcome } = setUp();
  const seen: string[] = [];
  subscribe({ subjects: ["prospect/7"], onPresence: ({ subject, users, complete }) => seen.push(`${subject} ${users.join()} ${complete}`) });
  subscribe();
  welcome();
  assert.deepEqual(sent.map((frame) => frame.case === "subscribe" && frame.value.presence), [true, false]);
  receive({ case: "presenceChanged", value: { subject: "prospect/7", users: ["Ada"], complete: true } });
  receive({ case: "presenceChanged", value: { subject: "prospect/8", users: ["Bob"], complete: true } });
  assert.deepEqual(seen, ["prospect/7 Ada true"]);
});

test("what the server would refuse for its size is refused here", () => {
  const { subscribe } = setUp();
  const many = Array.from({ length: 257 }, (_, i) => `prospect/${i}`);
  assert.throws(() => subscribe({ subjects: many }), RangeError);
  assert.throws(() => subscribe({ types: many }), RangeError);
  for (let i = 0; i < 32; i += 1) subscribe();
  assert.throws(() => subscribe(), RangeError);
});

test("the ids that are remembered have a bound: the oldest are forgotten", () => {
  const { receive, subscribe, welcome, subscribed } = setUp();
  const { got } = subscribe();
  welcome();
  subscribed(1);
  const held = Array.from({ length: 10_001 }, (_, i) => event(BigInt(i + 11)));
  receive({ case: "events", value: { events: held, position: 10n } });
  receive({ case: "events", value: { events: [event(10_011n), event(11n)], position: 10n } });
  assert.deepEqual([got.length, got.at(-1)], [10_002, "e11"]);
});

test("a position without a log's name gets that of the log it is followed in", () => {
  const { subscribe, welcome, subscribed } = setUp();
  const { subscription } = subscribe({ start: { after: 3n, epoch: "" } });
  welcome("g");
  subscribed(1, 3n);
  assert.equal(subscription.epoch, "g");
});

test("live only: the position begins with Subscribed", () => {
  const { sent, receive, subscribe, welcome } = setUp();
  const { subscription } = subscribe({ start: undefined });
  welcome();
  const frame = sent[0];
  assert.ok(frame?.case === "subscribe");
  assert.equal(frame.value.resume, undefined);
  receive({ case: "subscribed", value: { id: 1, position: 77n, caughtUp: true } });
  assert.equal(subscription.position, 77n);
});

test("every event that arrives is told, whatever the subscriptions want", () => {
  const { arrived, receive, subscribe, welcome } = setUp();
  const { got } = subscribe({ types: ["SomethingElse"] });
  welcome();
  receive({ case: "subscribed", value: { id: 1, position: 10n, caughtUp: true } });
  receive({ case: "events", value: { events: [event(11n)], position: 11n } });
  assert.deepEqual([got, arrived], [[], ["e11"]]);
});

test("filters", () => {
  const filter = { types: ["A"], subjects: ["prospect/*", "other/7"] };
  assert.equal(matches(filter, { type: "A", subject: "prospect/1" }), true);
  assert.equal(matches(filter, { type: "A", subject: "other/7" }), true);
  assert.equal(matches(filter, { type: "A", subject: "other/70" }), false);
  assert.equal(matches(filter, { type: "B", subject: "prospect/1" }), false);
  assert.equal(matches(filter, { type: "CommandRejected", subject: "command/x" }), true);
});
