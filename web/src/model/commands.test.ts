import assert from "node:assert/strict";
import { mock, test } from "node:test";
import type { CommandReport } from "./api";
import type { DomainEvent } from "../core/codec";
import { CommandTracker } from "./commands";

const event = (more: Partial<DomainEvent>): DomainEvent => ({
  eventId: "e", type: "ProspectCreated", subject: "prospect/1", version: 1, sequence: 1n, occurredAt: "",
  causationId: "", correlationId: "", issuedBy: "", data: {}, ...more,
});
const report = (more: Partial<CommandReport>): CommandReport => ({
  commandId: "c", status: "pending", subject: "", code: "", errors: [], ...more,
});
const sent = (): Promise<void> => Promise.resolve();
const nothing = (): void => undefined;

test("the event that the command caused settles it, also when it overtakes the 202", async () => {
  const tracker = new CommandTracker(() => Promise.resolve(report({})));
  const first = tracker.run("c1", sent, () => tracker.observe(event({ causationId: "c1" })));
  assert.deepEqual(await first, { status: "succeeded", by: "event" });
  const second = tracker.run("c2", async () => tracker.observe(event({ causationId: "c2" })), nothing);
  assert.deepEqual(await second, { status: "succeeded", by: "event" });
});

test("CommandRejected tells code and fields", async () => {
  const tracker = new CommandTracker(() => Promise.resolve(report({})));
  const errors = [{ field: "email", code: "duplicate_email", message: "taken" }];
  const data = { commandId: "c1", code: "duplicate_email", message: "m", errors };
  const run = tracker.run("c1", sent, () => tracker.observe(event({ type: "CommandRejected", data })));
  assert.deepEqual(await run, { status: "rejected", code: "duplicate_email", message: "m", errors });
});

test("without the socket, asking finds the outcome", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const answers = [report({}), report({ status: "succeeded" })];
  const tracker = new CommandTracker(() => Promise.resolve(answers.shift() ?? report({})));
  const run = tracker.run("c1", sent, nothing);
  for (let i = 0; i < 40; i += 1) {
    await Promise.resolve();
    mock.timers.tick(500);
  }
  assert.deepEqual(await run, { status: "succeeded", by: "poll" });
});

test("a command that could not be sent is the sender's matter", async () => {
  const tracker = new CommandTracker(() => Promise.resolve(report({})));
  await assert.rejects(tracker.run("c1", () => Promise.reject(new Error("offline")), nothing), /offline/);
});
