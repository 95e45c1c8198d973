// Every request body of tests/data/validation.jsonl gets, from the browser's rules, the errors that the server's give.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { messageForms } from "../gen/forms";
import { checkField, checkMessage, type Fault } from "./validate";

interface Line {
  name: string;
  body?: string;
  base64?: string;
  errors: Fault[];
}

const file = new URL("../../../tests/data/validation.jsonl", import.meta.url);
const lines = readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line) as Line);
const form = messageForms.CreateProspect;
assert.ok(form, "the contract has CreateProspect");

const sorted = (faults: readonly Fault[]): Fault[] =>
  faults.map(({ field, code }) => ({ field, code })).sort((a, b) => (a.field < b.field ? -1 : 1));

test("the table is there", () => assert.ok(lines.length >= 149));

for (const line of lines) {
  // Lines in base64 are about bytes that are no JSON or no UTF-8: in a form there is only text, so that is not ours.
  const skip = line.body === undefined ? "bytes, decoded by the server" : false;
  test(`validation.jsonl: ${line.name.slice(0, 60)}`, { skip }, () => {
    const body = JSON.parse(line.body ?? "") as Record<string, unknown>;
    assert.deepEqual(sorted(checkMessage(form, body).faults), sorted(line.errors));
  });
}

test("values are sent trimmed and composed, notes as typed", () => {
  const { values } = checkMessage(form, { firstName: "\u2003e\u0301 ", lastName: "x", email: " a@b.co ", notes: "  n " });
  assert.equal(values.firstName, "\u00e9");
  assert.equal(values.email, "a@b.co");
  assert.equal(values.notes, "  n ");
});

test("a lone surrogate is an encoding fault", () => {
  const rule = form.fields.find((field) => field.name === "firstName");
  assert.ok(rule);
  assert.equal(checkField(rule, "\ud800").code, "invalid_encoding");
});
