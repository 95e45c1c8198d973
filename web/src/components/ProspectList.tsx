import type { Prospect } from "../model/prospect";
import { useServices } from "../hooks/useServices";
import { useStore } from "../hooks/useStore";
import { ProspectRow } from "./ProspectRow";
import { SkeletonRows } from "./SkeletonRows";

interface Props {
  prospects: readonly Prospect[];
  loading: boolean;
  /** The rows are those of the previous search while the next one is under way. */
  outdated: boolean;
  onOpen: ((id: number) => void) | undefined;
}

const COLUMNS = ["Name", "E-mail", "Phone", "Added", "Changed"];

export function ProspectList({ prospects, loading, outdated, onOpen }: Props) {
  const highlights = useStore(useServices().cache.highlights);
  return (
    <table className="prospects" data-outdated={outdated} aria-busy={loading || outdated}>
      <caption className="visually-hidden">Prospects</caption>
      <thead>
        <tr>
          {COLUMNS.map((column) => (
            <th key={column} scope="col">
              {column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {loading && <SkeletonRows count={8} />}
        {prospects.map((prospect) => (
          <ProspectRow
            key={prospect.prospectId}
            prospect={prospect}
            changedTo={highlights.get(prospect.prospectId)}
            onOpen={onOpen}
          />
        ))}
      </tbody>
    </table>
  );
}
