import assert from "node:assert/strict";
import { test } from "node:test";
import { applyChange, reconcile, type Change, type ProspectList } from "./prospect-list";
import type { Prospect, ProspectSort } from "./prospect";

const time = (minute: number): string => `2026-01-01T00:${String(minute).padStart(2, "0")}:00Z`;

const row = (id: number, version = 1): Prospect => ({
  prospectId: id, firstName: "F", lastName: `L${id}`, email: `e${id}@x.yz`, phone: "", notes: "",
  version, createdAt: time(id), updatedAt: time(id),
});

const change = (id: number, version: number, more: Partial<Change> = {}): Change => {
  const { createdAt: _created, updatedAt: _updated, ...fields } = row(id, version);
  return { sequence: 100n, created: version === 1, at: time(50), fields: { ...fields, lastName: "New" }, ...more };
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
