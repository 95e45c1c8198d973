import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import assert from "node:assert/strict";
import { test } from "node:test";
import { EnvelopeSchema } from "../gen/events/v1/envelope_pb";
import { ProspectUpdatedSchema } from "../gen/events/v1/prospect_pb";
import { ServerFrameSchema } from "../gen/events/v1/stream_pb";
import { decodeEvent, decodeFrame, encodeFrame } from "./codec";

const updated = create(ProspectUpdatedSchema, {
  prospectId: 9007199254740991n,
  firstName: "Ada",
  version: 3n,
  changedFields: ["firstName"],
});
const envelope = create(EnvelopeSchema, {
  eventId: "e",
  eventType: "ProspectUpdated",
  occurredAt: timestampFromDate(new Date("2026-01-02T03:04:05.678Z")),
  subject: "prospect/1",
  sequence: 7n,
  subjectVersion: 3n,
  data: toBinary(ProspectUpdatedSchema, updated),
});

test("an event's data comes out with numbers, and can be written as JSON", () => {
  const event = decodeEvent(envelope);
  assert.equal(event.data?.prospectId, 9007199254740991);
  assert.equal(event.data?.version, 3);
  assert.deepEqual(event.data?.changedFields, ["firstName"]);
  assert.equal(event.occurredAt, "2026-01-02T03:04:05.678Z");
  assert.doesNotThrow(() => JSON.stringify(event.data));
});

test("an event of an unknown type, or with damaged data, is still an event", () => {
  assert.equal(decodeEvent(create(EnvelopeSchema, { eventId: "x", eventType: "NotYetKnown" })).data, undefined);
  const damaged = { ...envelope, data: new Uint8Array([0xff, 0xff]) };
  assert.equal(decodeEvent(damaged).data, undefined);
});

test("frames: out and in", () => {
  const bytes = encodeFrame({ case: "ping", value: { nonce: 5n } });
  assert.deepEqual([...bytes], [0x22, 0x02, 0x08, 0x05]);
  const pong = toBinary(ServerFrameSchema, create(ServerFrameSchema, { frame: { case: "pong", value: { nonce: 5n } } }));
  assert.equal(decodeFrame(pong).case, "pong");
  assert.throws(() => decodeFrame(new Uint8Array([0x0a, 0x05, 0x01])));
});
