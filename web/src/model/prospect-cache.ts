// Keeps TanStack Query's cache true to the stream: every list and every single prospect that it holds is changed from
// the event's own data. The server is asked again only where order or search are its business, and then with the
// position that its answer must at least show, because an event may overtake the read model.
import { replaceEqualDeep, type QueryClient } from "@tanstack/query-core";
import type { DomainEvent } from "../core/codec";
import { applyChange, readChange, reconcile, type Change, type ProspectList } from "./prospect-list";
import type { Prospect, ProspectFilter, ProspectPage } from "./prospect";
import { Store } from "../core/store";

export const keys = {
  all: ["prospects"] as const,
  lists: ["prospects", "list"] as const,
  list: (filter: ProspectFilter) => ["prospects", "list", filter] as const,
  one: (id: number) => ["prospects", "one", id] as const,
  history: (id: number) => ["prospects", "history", id] as const,
};

const REMEMBERED = 500;
const REFETCH_AFTER_MS = 500;
const HIGHLIGHT_MS = 5_000;

export class ProspectCache {
  /** Rows that changed a moment ago by an event: id to version. */
  readonly highlights = new Store<ReadonlyMap<number, number>>(new Map());
  readonly #queries: QueryClient;
  #recent: Change[] = [];
  #minPosition = 0n;
  #forgotten = 0n; // the latest change that is not in #recent any more
  #staleLists = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(queries: QueryClient) {
    this.#queries = queries;
  }

  /** The lowest position that an answer may show now. */
  get minPosition(): bigint {
    return this.#minPosition;
  }

  apply(event: DomainEvent): void {
    const change = readChange(event);
    if (change === undefined) return;
    this.#remember(change);
    if (change.sequence > this.#minPosition) this.#minPosition = change.sequence;
    this.#applyToLists(change);
    this.#applyToOne(change);
    if (!change.ended) this.#highlight(change.fields.prospectId, change.fields.version);
  }

  /** One page for a list. What is older than the changes that are remembered could not be brought up to date: a list
   *  that is shown keeps what it has until the read model has come so far. */
  async load(filter: ProspectFilter, load: (minPosition: bigint) => Promise<ProspectPage>): Promise<ProspectPage> {
    for (;;) {
      const page = await load(this.#minPosition);
      const shown = this.#queries.getQueryData(keys.list(filter)) !== undefined;
      if (!shown || BigInt(page.position) >= this.#forgotten) return page;
      await new Promise((resolve) => setTimeout(resolve, REFETCH_AFTER_MS));
    }
  }

  /** For the query's structuralSharing: runs wherever data is set, so that nothing older is ever shown in between. */
  share(filter: ProspectFilter, old: unknown, fresh: unknown): ProspectList {
    return replaceEqualDeep(old, reconcile(fresh as ProspectList, filter, this.#recent)) as ProspectList;
  }

  /** An answer that is older than what we know (the server waits 2 s at most): ask again soon. */
  checkPosition(position: string): void {
    if (BigInt(position) < this.#minPosition) this.#refetchSoon(keys.lists, 2_000);
  }

  /** Loads everything anew, for example after the stream could not be resumed. */
  async reload(forgetPositions: boolean): Promise<void> {
    if (forgetPositions) this.#forget();
    this.#queries.removeQueries({ queryKey: keys.all, type: "inactive" });
    await this.#queries.invalidateQueries({ queryKey: keys.all });
  }

  clear(): void {
    this.#forget();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#staleLists.clear();
    this.highlights.set(new Map());
  }

  #forget(): void {
    this.#recent = [];
    this.#minPosition = 0n;
    this.#forgotten = 0n;
  }

  #remember(change: Change): void {
    this.#recent = [...this.#recent, change];
    if (this.#recent.length <= REMEMBERED) return;
    const oldest = this.#recent.shift();
    if (oldest !== undefined && oldest.sequence > this.#forgotten) this.#forgotten = oldest.sequence;
  }

  #applyToLists(change: Change): void {
    for (const query of this.#queries.getQueryCache().findAll({ queryKey: keys.lists })) {
      const list = query.state.data as ProspectList | undefined;
      if (list === undefined) continue;
      const filter = query.queryKey[2] as ProspectFilter;
      const applied = applyChange(list, filter, change);
      if (applied.list !== list) this.#queries.setQueryData(query.queryKey, applied.list);
      if (applied.stale) this.#markStale(query.queryHash);
    }
  }

  #applyToOne(change: Change): void {
    const id = change.fields.prospectId;
    if (change.ended) this.#queries.removeQueries({ queryKey: keys.one(id), exact: true });
    this.#queries.setQueryData<Prospect>(keys.one(id), (old) => {
      if (old === undefined || old.version >= change.fields.version) return old;
      return { ...old, ...change.fields, updatedAt: change.at };
    });
    void this.#queries.invalidateQueries({ queryKey: keys.history(id) });
  }

  #markStale(queryHash: string): void {
    this.#staleLists.add(queryHash);
    this.#refetchSoon(keys.lists, REFETCH_AFTER_MS);
  }

  /** One timer for all: a flood of events leads to a refetch now and then, not to one each. */
  #refetchSoon(queryKey: readonly unknown[], wait: number): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const marked = this.#staleLists;
      this.#staleLists = new Set();
      const busy = this.#queries.isFetching({ queryKey }) > 0;
      if (busy) {
        this.#staleLists = marked;
        this.#refetchSoon(queryKey, REFETCH_AFTER_MS);
        return;
      }
      const predicate = (query: { queryHash: string }): boolean => marked.size === 0 || marked.has(query.queryHash);
      void this.#queries.invalidateQueries({ queryKey, predicate });
    }, wait);
  }

  #highlight(id: number, version: number): void {
    this.highlights.update((map) => new Map(map).set(id, version));
    setTimeout(() => {
      this.highlights.update((map) => {
        if (map.get(id) !== version) return map;
        const next = new Map(map);
        next.delete(id);
        return next;
      });
    }, HIGHLIGHT_MS);
  }
}
