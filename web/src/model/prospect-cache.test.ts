import { QueryClient } from "@tanstack/query-core";
import assert from "node:assert/strict";
import { mock, test, type TestContext } from "node:test";
import type { DomainEvent } from "../core";
import { keys, ProspectCache } from "./prospect-cache";
import type { ProspectList } from "./prospect-list";
import { DEFAULT_SORT, type ProspectPage } from "./prospect";

const filter = { query: "", sort: DEFAULT_SORT };

const changed = (sequence: number, id = 1): DomainEvent => ({
  eventId: `e${sequence}`, type: "ProspectUpdated", subject: `prospect/${id}`, version: sequence, sequence: BigInt(sequence),
  occurredAt: "2026-01-01T00:00:00Z", causationId: "", correlationId: "", issuedBy: "",
  data: { firstName: "F", lastName: `Step ${sequence}`, email: "e@x.yz", phone: "", notes: "" },
});

const page = (position: number): ProspectPage => ({
  items: [{
    prospectId: 1, firstName: "F", lastName: `Step ${position}`, email: "e@x.yz", phone: "", notes: "", version: position,
    createdAt: "2026-01-01T00:00:00Z", updatedAt: "2026-01-01T00:00:00Z",
  }],
  nextCursor: undefined, position: String(position), epoch: "e",
});

function setUp(t: TestContext) {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const queries = new QueryClient();
  const cache = new ProspectCache(queries);
  const show = (list: ProspectList): void => void queries.setQueryData(keys.list(filter), list);
  return { cache, queries, show };
}

const lastName = (list: unknown): string | undefined => (list as ProspectList | undefined)?.pages[0]?.items[0]?.lastName;

test("an answer that an event has overtaken is brought up to date before it is shown", (t) => {
  const { cache, queries, show } = setUp(t);
  show({ pages: [page(10)], pageParams: [undefined] });
  cache.apply(changed(11));
  assert.equal(lastName(queries.getQueryData(keys.list(filter))), "Step 11");
  const late = { pages: [page(10)], pageParams: [undefined] };
  assert.equal(lastName(cache.share(filter, queries.getQueryData(keys.list(filter)), late)), "Step 11");
});

test("one that is older than what is remembered is not taken while a list is shown: it is asked for again", async (t) => {
  const { cache, show } = setUp(t);
  const asked: bigint[] = [];
  const positions = [10, 11, 600];
  const load = (minPosition: bigint): Promise<ProspectPage> => {
    asked.push(minPosition);
    return Promise.resolve(page(positions.shift() ?? 0));
  };
  for (let sequence = 11; sequence <= 512; sequence += 1) cache.apply(changed(sequence)); // 11 and 12 are forgotten
  assert.equal((await cache.load(filter, load)).position, "10", "nothing is shown yet");
  show({ pages: [page(512)], pageParams: [undefined] });
  const loaded = cache.load(filter, load);
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
  assert.equal(asked.length, 2);
  mock.timers.tick(500);
  assert.equal((await loaded).position, "600");
  assert.deepEqual(asked, [512n, 512n, 512n]);
});
