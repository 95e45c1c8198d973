import assert from "node:assert/strict";
import { test } from "node:test";
import { messageForms, type MessageForm } from "../gen/forms";
import { ActivityFeed } from "./activity";
import { commandBody, commandForms, openForm } from "./command-form";
import { faultText } from "./messages";
import { checkMessage } from "./validate";

const formOf = (name: string): MessageForm => {
  const form = messageForms[name];
  assert.ok(form, name);
  return openForm(form);
};
const visible = (form: MessageForm) => form.fields.filter((rule) => rule.widget !== "hidden");

test("every command of the contract has a form", () => {
  const names = commandForms.map((form) => form.name);
  for (const name of ["CreateProspect", "UpdateProspect", "MergeProspects"]) assert.ok(names.includes(name), name);
  assert.ok(commandForms.every((form) => form.kind === "command" && form.title !== ""));
});

test("what has to be told is asked for; versions and the command's id are ours", () => {
  assert.deepEqual(visible(formOf("MergeProspects")).map((rule) => rule.name), ["prospectId", "mergedProspectId"]);
  assert.deepEqual(visible(formOf("UpdateProspect")).map((rule) => rule.name).slice(0, 2), ["prospectId", "firstName"]);
  assert.ok(!visible(formOf("CreateProspect")).some((rule) => rule.name === "commandId"));
});

test("what is sent: numbers as numbers, any version, nothing empty", () => {
  const body = commandBody(formOf("MergeProspects"), { prospectId: "12", mergedProspectId: "7" }, "c");
  assert.deepEqual(body, { commandId: "c", prospectId: 12, expectedVersion: -1, mergedProspectId: 7 });
  const created = commandBody(formOf("CreateProspect"), { firstName: "A", lastName: "B", email: "a@b.co", phone: "", notes: "" }, "c");
  assert.deepEqual(created, { commandId: "c", firstName: "A", lastName: "B", email: "a@b.co" });
});

const NUMBERS: [string, string | undefined][] = [
  ["7", undefined], [" 7 ", undefined], ["9007199254740991", undefined], ["", "required"],
  ["0", "invalid_id"], ["-1", "invalid_id"], ["9007199254740992", "invalid_id"], ["1.5", "invalid_id"], ["seven", "invalid_id"], ["1e3", "invalid_id"],
];
for (const [typed, code] of NUMBERS) {
  test(`the number "${typed}" is ${code ?? "fine"}`, () => {
    const form = formOf("MergeProspects");
    const { faults, values } = checkMessage({ ...form, fields: visible(form) }, { prospectId: "1", mergedProspectId: typed });
    assert.deepEqual(faults.map((fault) => `${fault.field} ${fault.code}`), code === undefined ? [] : [`mergedProspectId ${code}`]);
    assert.equal(values.mergedProspectId, typed.trim());
  });
}

test("an id at fault: in our words while typing, in the server's when it knows why", () => {
  assert.match(faultText("invalid_id", undefined), /Enter a number/);
  assert.equal(faultText("invalid_id", undefined, "a prospect cannot be merged into itself"), "A prospect cannot be merged into itself.");
});

test("the activity panel tells whom else an event concerns", () => {
  const feed = new ActivityFeed();
  feed.add({
    eventId: "e", type: "ProspectMerged", subject: "prospect/7", version: 3, sequence: 9n, occurredAt: "", causationId: "c",
    correlationId: "", issuedBy: "u", data: { prospectId: 7, mergedInto: 12, version: 3 },
  });
  assert.equal(feed.items.get()[0]?.detail, "merged into 12");
});
