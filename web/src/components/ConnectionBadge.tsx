import type { ConnectionState } from "../core";
import { useNow } from "../hooks/useNow";
import { useWebSocket } from "../hooks/useWebSocket";

const WORDS: Record<ConnectionState["phase"], string> = {
  stopped: "Not connected",
  connecting: "Connecting…",
  live: "Live",
  waiting: "Offline",
  forbidden: "No live updates",
};

/** Says whether changes arrive by themselves. The countdown is for the eye only; a screen reader hears the phase. */
export function ConnectionBadge() {
  const { connection, retryNow } = useWebSocket();
  return (
    <div className="connection" data-phase={connection.phase} data-testid="connection">
      <span className="connection-dot" aria-hidden="true" />
      <span role="status" aria-live="polite">
        {WORDS[connection.phase]}
      </span>
      {connection.phase === "waiting" && <Countdown until={connection.retryAt} />}
      {connection.phase === "waiting" && (
        <button type="button" className="link" onClick={retryNow}>
          Retry now
        </button>
      )}
    </div>
  );
}

function Countdown({ until }: { until: number }) {
  const now = useNow(250);
  const seconds = Math.max(0, Math.ceil((until - now) / 1000));
  return <span className="connection-countdown" aria-hidden="true">{`· retry in ${seconds} s`}</span>;
}
