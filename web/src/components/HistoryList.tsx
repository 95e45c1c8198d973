import { humanName } from "../model/words";
import { useHistory } from "../hooks/useHistory";
import { useClaims } from "../hooks/useSession";
import { Time } from "./Time";
import { who } from "./who";

/** What happened to one prospect, newest first. */
export function HistoryList({ prospectId }: { prospectId: number }) {
  const { data, isError, isPending } = useHistory(prospectId);
  const { userId } = useClaims();
  if (isError) return null; // the form matters more than its past
  return (
    <section className="history" aria-label="History" aria-busy={isPending}>
      <h3>History</h3>
      <ol>
        {(data ?? []).map((entry) => (
          <li key={entry.eventId}>
            <span>
              {humanName(entry.eventType)}
              {entry.changedFields.length > 0 && (
                <span className="muted"> · {entry.changedFields.map((name) => humanName(name).toLowerCase()).join(", ")}</span>
              )}
            </span>
            <span className="muted">
              {who(entry.issuedBy, userId)} · <Time iso={entry.occurredAt} />
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
