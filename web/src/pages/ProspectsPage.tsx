import { useCallback, useState } from "react";
import { ActivityPanel } from "../components/ActivityPanel";
import { AppHeader } from "../components/AppHeader";
import { Banner } from "../components/Banner";
import { CommandPanel } from "../components/CommandPanel";
import { EmptyState } from "../components/EmptyState";
import { Icon } from "../components/Icon";
import { ProspectList } from "../components/ProspectList";
import { ProspectPanel } from "../components/ProspectPanel";
import { SearchBox } from "../components/SearchBox";
import { SortSelect } from "../components/SortSelect";
import { DEFAULT_SORT, type Prospect, type ProspectSort } from "../model/prospect";
import { useDebounced } from "../hooks/useDebounced";
import { useProspects } from "../hooks/useProspects";
import { useClaims } from "../hooks/useSession";

type Panel = { open: "no" } | { open: "new" } | { open: "command" } | { open: "edit"; prospect: Prospect };

export function ProspectsPage() {
  const { scopes } = useClaims();
  const [search, setSearch] = useState("");
  const [sort, setSort] = useState<ProspectSort>(DEFAULT_SORT);
  const [panel, setPanel] = useState<Panel>({ open: "no" });
  const query = useDebounced(search.trim(), 250);
  const list = useProspects({ query, sort });
  const { prospects } = list;
  const mayWrite = scopes.has("prospects:write");
  const personal = scopes.has("prospects:pii");

  const close = useCallback(() => setPanel({ open: "no" }), []);
  const open = useCallback((id: number) => {
    const prospect = prospects.find((row) => row.prospectId === id);
    if (prospect !== undefined) setPanel({ open: "edit", prospect });
  }, [prospects]);

  return (
    <>
      <AppHeader>
        {mayWrite && (
          <button type="button" className="button button-quiet" aria-label="New command" onClick={() => setPanel({ open: "command" })}>
            <Icon name="command" />
            <span>New command</span>
          </button>
        )}
      </AppHeader>
      <main className="layout">
        <section className="card list" aria-labelledby="list-title">
          <header className="list-header">
            <div className="list-title">
              <h1 id="list-title">Prospects</h1>
              <p className="muted" role="status" aria-live="polite">{summary(list, query)}</p>
            </div>
            <div className="list-tools">
              {personal && <SearchBox value={search} onChange={setSearch} />}
              <SortSelect value={sort} personal={personal} onChange={setSort} />
              {mayWrite && (
                <button type="button" className="button button-primary" onClick={() => setPanel({ open: "new" })}>
                  <Icon name="plus" />
                  New prospect
                </button>
              )}
            </div>
          </header>
          {list.isRefetchError && (
            <Banner tone="bad" action={{ label: "Try again", run: () => void list.refetch() }}>
              The list could not be refreshed: {list.error.message}
            </Banner>
          )}
          {list.isLoadingError ? (
            <EmptyState icon="alert" title="The list could not be loaded" action={{ label: "Try again", run: () => void list.refetch() }}>
              {list.error.message}
            </EmptyState>
          ) : list.isSuccess && prospects.length === 0 ? (
            <Nothing query={query} />
          ) : (
            <ProspectList prospects={prospects} loading={list.isPending} outdated={list.isPlaceholderData}
              onOpen={mayWrite ? open : undefined} />
          )}
          {list.hasNextPage && (
            <footer className="list-footer">
              <button type="button" className="button" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
                {list.isFetchingNextPage ? "Loading…" : "Load more"}
              </button>
            </footer>
          )}
        </section>
        <ActivityPanel />
      </main>
      {panel.open === "new" && <ProspectPanel onClose={close} />}
      {panel.open === "command" && <CommandPanel prospects={prospects} onClose={close} />}
      {panel.open === "edit" && <ProspectPanel prospect={latest(prospects, panel.prospect)} onClose={close} />}
    </>
  );
}

function Nothing({ query }: { query: string }) {
  if (query !== "") return <EmptyState icon="search" title="No match">Nothing begins with “{query}”.</EmptyState>;
  return <EmptyState icon="people" title="No prospects yet">Add the first one; it shows up for everybody at once.</EmptyState>;
}

/** The row as it is now; the one that was opened, once it has left the list. */
function latest(prospects: readonly Prospect[], opened: Prospect): Prospect {
  return prospects.find((row) => row.prospectId === opened.prospectId) ?? opened;
}

function summary(list: { isPending: boolean; isLoadingError: boolean; isPlaceholderData: boolean; hasNextPage: boolean; prospects: readonly Prospect[] }, query: string): string {
  if (list.isLoadingError) return "Not loaded";
  if (list.isPending || list.isPlaceholderData) return "Loading…";
  const count = list.prospects.length.toLocaleString("en");
  if (list.hasNextPage) return `First ${count} shown`;
  return query === "" ? `${count} in total` : `${count} found`;
}
