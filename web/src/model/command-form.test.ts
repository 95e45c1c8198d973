import assert from "node:assert/strict";
import { test } from "node:test";
import { messageForms, type MessageForm } from "../gen/forms";
import { ActivityFeed } from "./activity";
import { commandBody, commandForms, openForm } from "./command-form";
import { faultText } from "./messages";
import { checkMessage, concerns } from "./validate";

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

/** A command as a contract of the future may have it: every kind of field there is. */
const text = { widget: "text", type: "string", required: false, trim: false, multiline: false, personal: false } as const;
const MEETING: MessageForm = {
  name: "NoteMeeting", kind: "command", schemaVersion: "1.0", subject: "", endsSubject: false, title: "Note a meeting",
  fields: [
    { ...text, name: "commandId", label: "Command id", widget: "hidden", pattern: "uuid" },
    { ...text, name: "again", label: "Again", type: "bool" },
    { ...text, name: "mood", label: "Mood", type: "enum", required: true, values: ["good", "very_bad"] },
    { ...text, name: "metAt", label: "Met at", type: "timestamp", required: true },
    { ...text, name: "guests", label: "Guests", trim: true, maxLength: 3, repeated: true },
    {
      ...text, name: "place", label: "Place", type: "message",
      fields: [{ ...text, name: "street", label: "Street", required: true }, { ...text, name: "number", label: "Number", type: "int64" }],
    },
    { ...text, name: "others", label: "Others", type: "message", repeated: true, fields: [{ ...text, name: "street", label: "Street" }] },
    { ...text, name: "itself", label: "Itself", type: "message" },
  ],
};

test("a form asks for the fields of its parts by path, and for lists by line", () => {
  const asked = visible(openForm(MEETING));
  assert.deepEqual(asked.map(({ name, label, widget, required }) => [name, label, widget, required]), [
    ["again", "Again", "text", false], ["mood", "Mood", "text", true], ["metAt", "Met at", "text", true], ["guests", "Guests", "textarea", false],
    ["place.street", "Place: street", "text", false], ["place.number", "Place: number", "text", false],
  ]);
});

const TYPED: [Record<string, string>, string[]][] = [
  [{ mood: "good", metAt: "2026-01-02T03:04", guests: " a \n\nb", again: "true", "place.number": " 7 " }, []],
  [{}, ["mood required", "metAt required"]],
  [{ mood: "sad", metAt: "soon", guests: "a\nabcd", "place.number": "x" }, ["mood wrong_type", "metAt wrong_type", "guests too_long", "place.number wrong_type"]],
];
for (const [typed, want] of TYPED) {
  test(`a form of every kind of field, ${want.length === 0 ? "well filled in" : want[0]}`, () => {
    const form = openForm(MEETING);
    const { faults } = checkMessage({ ...form, fields: visible(form) }, typed);
    assert.deepEqual(faults.map((fault) => `${fault.field} ${fault.code}`), want);
  });
}

test("what is sent of every kind of field", () => {
  const form = openForm(MEETING);
  const { values } = checkMessage({ ...form, fields: visible(form) }, TYPED[0]?.[0] ?? {});
  assert.deepEqual(commandBody(form, values, "c"), {
    commandId: "c", again: true, mood: "good", metAt: new Date(2026, 0, 2, 3, 4).toISOString(), guests: ["a", "b"], place: { number: 7 },
  });
  assert.deepEqual(commandBody(form, {}, "c"), { commandId: "c" });
});

test("a fault of an item is one of its list", () => {
  assert.ok(concerns("guests[2]", "guests") && concerns("guests", "guests") && !concerns("guestsOf", "guests"));
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
