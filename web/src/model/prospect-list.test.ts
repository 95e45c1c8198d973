import assert from "node:assert/strict";
import { test } from "node:test";
import type { DomainEvent } from "../core/codec";
import { applyChange, readChange, reconcile, type Change, type ProspectList } from "./prospect-list";
import type { Prospect, ProspectSort } from "./prospect";

const time = (minute: number): string => `2026-01-01T00:${String(minute).padStart(2, "0")}:00Z`;

const row = (id: number, version = 1): Prospect => ({
  prospectId: id, firstName: "F", lastName: `L${id}`, email: `e${id}@x.yz`, phone: "", notes: "",
  version, createdAt: time(id), updatedAt: time(id),
});

const change = (id: number, version: number, more: Partial<Change> = {}): Change => {
  const { createdAt: _created, updatedAt: _updated, ...fields } = row(id, version);
  return { sequence: 100n, created: version === 1, ended: false, at: time(50), fields: { ...fields, lastName: "New" }, ...more };
};

const list = (ids: number[], nextCursor?: string): ProspectList => ({
  pages: [{ items: ids.map((id) => row(id)), nextCursor, position: "10", epoch: "e" }],
  pageParams: [undefined],
});

const ids = (value: ProspectList): number[] => value.pages.flatMap((page) => page.items.map((item) => item.prospectId));
const by = (sort: ProspectSort, query = "") => ({ sort, query });

test("a row takes a newer version, never an older or the same one", () => {
  const newer = applyChange(list([3, 2]), by("-createdAt"), change(2, 2));
  assert.equal(newer.list.pages[0]?.items[1]?.lastName, "New");
  assert.equal(newer.list.pages[0]?.items[1]?.createdAt, time(2));
  assert.equal(newer.stale, false);
  const start = list([3, 2]);
  assert.equal(applyChange(start, by("-createdAt"), change(2, 1)).list, start);
});

const INSERTS: [ProspectSort, string, string | undefined, number[], boolean][] = [
  ["-createdAt", "", "c", [9, 3, 2], false],
  ["-updatedAt", "", "c", [9, 3, 2], false],
  ["createdAt", "", undefined, [3, 2, 9], false],
  ["createdAt", "", "c", [3, 2], false],
  ["lastName", "", "c", [3, 2], true],
  ["-createdAt", "ada", "c", [3, 2], true],
];
for (const [sort, query, cursor, want, stale] of INSERTS) {
  test(`a new one, sorted by ${sort}${query && " in a search"}${cursor ? "" : ", all loaded"}`, () => {
    const applied = applyChange(list([3, 2], cursor), by(sort, query), change(9, 1));
    assert.deepEqual(ids(applied.list), want);
    assert.equal(applied.stale, stale);
  });
}

test("one that the list was read with is not inserted again", () => {
  const applied = applyChange(list([3, 2], "c"), by("-createdAt"), change(9, 1, { sequence: 10n }));
  assert.deepEqual([ids(applied.list), applied.stale], [[3, 2], false]);
});

test("a change moves to the top when the last changed stand first, and asks the server when a name decides", () => {
  assert.deepEqual(ids(applyChange(list([3, 2]), by("-updatedAt"), change(2, 2)).list), [2, 3]);
  assert.equal(applyChange(list([3, 2]), by("lastName"), change(2, 2)).stale, true);
  assert.equal(applyChange(list([3, 2]), by("-createdAt", "l2"), change(2, 2)).stale, true);
});

test("an unloaded row's change is nothing to a list by creation", () => {
  const start = list([3, 2], "c");
  assert.deepEqual(applyChange(start, by("-createdAt"), change(1, 2)), { list: start, stale: false });
});

test("an answer that was read before the latest events does not take them back", () => {
  const late = reconcile(list([3, 2], "c"), by("-createdAt"), [change(9, 1), change(2, 2)]);
  assert.deepEqual(ids(late), [9, 3, 2]);
  assert.equal(late.pages[0]?.items[2]?.version, 2);
});

test("what has ended leaves every list, however it is sorted or searched, and does not come back with a late answer", () => {
  const ended = change(2, 2, { ended: true });
  const filters = [by("-createdAt"), by("lastName"), by("-updatedAt"), by("email", "ada")];
  for (const filter of filters) {
    assert.deepEqual(ids(applyChange(list([3, 2, 1], "c"), filter, ended).list), [3, 1]);
    assert.equal(applyChange(list([3, 2, 1], "c"), filter, ended).stale, false);
    assert.deepEqual(ids(reconcile(list([3, 2, 1]), filter, [ended])), [3, 1]);
  }
  const start = list([3, 1]);
  assert.deepEqual(applyChange(start, by("-createdAt"), ended), { list: start, stale: false });
});

const event = (type: string, version: number, data: DomainEvent["data"]): DomainEvent => ({
  eventId: "e", type, subject: "prospect/7", version, sequence: 9n, occurredAt: time(1),
  causationId: "c", correlationId: "", issuedBy: "", data,
});

test("which events change a list follows from the contract", () => {
  const state = { prospectId: 7, firstName: "Ada", lastName: "L", email: "a@b.co", phone: "", notes: "", version: 1 };
  const read = (type: string, version: number, data: DomainEvent["data"]) => {
    const found = readChange(event(type, version, data));
    return found && [found.fields.prospectId, found.fields.version, found.created, found.ended, found.fields.lastName];
  };
  assert.deepEqual(read("ProspectCreated", 1, state), [7, 1, true, false, "L"]);
  assert.deepEqual(read("ProspectUpdated", 2, { ...state, version: 2, changedFields: [] }), [7, 2, false, false, "L"]);
  assert.deepEqual(read("ProspectMerged", 3, { prospectId: 7, mergedInto: 3, version: 3 }), [7, 3, false, true, ""]);
  assert.equal(read("CommandRejected", 0, { code: "not_found" }), undefined);
  assert.equal(read("SomethingNew", 4, undefined), undefined);
  assert.equal(readChange({ ...event("ProspectUpdated", 2, state), subject: "company/7" }), undefined);
});
