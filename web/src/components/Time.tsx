import { fullTime, timeAgo } from "../model/words";
import { useNow } from "../hooks/useNow";

/** "3 min ago", with the full time as a tooltip. */
export function Time({ iso }: { iso: string }) {
  const now = useNow(30_000);
  if (iso === "") return <span className="muted">–</span>;
  return (
    <time dateTime={iso} title={fullTime(iso)}>
      {timeAgo(iso, Math.max(now, Date.now()))}
    </time>
  );
}
