import { create, type MessageInitShape } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { test } from "node:test";
import { EnvelopeSchema, type Envelope } from "../gen/events/v1/envelope_pb";
import { ServerFrameSchema } from "../gen/events/v1/stream_pb";
import type { ClientFrameInit } from "./codec";
import { EventStream, matches, type SubscriptionOptions } from "./stream";

type FrameInit = NonNullable<MessageInitShape<typeof ServerFrameSchema>["frame"]>;

function setUp() {
  const sent: ClientFrameInit[] = [];
  const observed: string[] = [];
  const stream = new EventStream((frame) => sent.push(frame) > 0, (event) => observed.push(event.eventId));
  const receive = (frame: FrameInit): void => stream.handle(create(ServerFrameSchema, { frame }).frame);
  const subscribe = (more: Partial<SubscriptionOptions> = {}) => {
    const got: string[] = [];
    const resyncs: string[] = [];
    const subscription = stream.subscribe({
      eventTypes: [],
      subjects: [],
      start: { after: 10n, epoch: "e" },
      onEvent: (event) => got.push(event.eventId),
      onResync: (reason) => resyncs.push(reason),
      ...more,
    });
    return { got, resyncs, subscription };
  };
  const welcome = (): void => receive({ case: "welcome", value: { position: 10n, heartbeatSeconds: 20, epoch: "e" } });
  return { sent, observed, stream, receive, subscribe, welcome };
}

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
  const { sent, stream, receive, subscribe, welcome } = setUp();
  subscribe();
  welcome();
  receive({ case: "subscribed", value: { id: 1, position: 10n, caughtUp: true } });
  receive({ case: "events", value: { events: [], position: 40n } });
  stream.disconnected();
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

test("lagging goes on by itself; any other resync ends the subscription", () => {
  const { stream, receive, subscribe, welcome } = setUp();
  const { resyncs, got } = subscribe();
  welcome();
  receive({ case: "subscribed", value: { id: 1, position: 10n, caughtUp: true } });
  receive({ case: "resyncRequired", value: { reason: "lagging", position: 10n } });
  assert.deepEqual(resyncs, []);
  receive({ case: "resyncRequired", value: { reason: "too_old", id: 1 } });
  assert.deepEqual(resyncs, ["too_old"]);
  receive({ case: "events", value: { events: [event(11n)], position: 11n } });
  assert.deepEqual(got, []);
  stream.clear();
});

test("live only: the position begins with Subscribed", () => {
  const { sent, receive, subscribe, welcome } = setUp();
  const { subscription } = subscribe({ start: { after: undefined, epoch: "" } });
  welcome();
  const frame = sent[0];
  assert.ok(frame?.case === "subscribe");
  assert.equal(frame.value.resume, undefined);
  receive({ case: "subscribed", value: { id: 1, position: 77n, caughtUp: true } });
  assert.equal(subscription.position, 77n);
});

test("every event is observed, whatever the subscriptions want", () => {
  const { observed, receive, subscribe, welcome } = setUp();
  const { got } = subscribe({ eventTypes: ["SomethingElse"] });
  welcome();
  receive({ case: "subscribed", value: { id: 1, position: 10n, caughtUp: true } });
  receive({ case: "events", value: { events: [event(11n)], position: 11n } });
  assert.deepEqual([got, observed], [[], ["e11"]]);
});

test("filters", () => {
  const filter = { eventTypes: ["A"], subjects: ["prospect/*", "other/7"] };
  assert.equal(matches(filter, { type: "A", subject: "prospect/1" }), true);
  assert.equal(matches(filter, { type: "A", subject: "other/7" }), true);
  assert.equal(matches(filter, { type: "A", subject: "other/70" }), false);
  assert.equal(matches(filter, { type: "B", subject: "prospect/1" }), false);
  assert.equal(matches(filter, { type: "CommandRejected", subject: "command/x" }), true);
});
