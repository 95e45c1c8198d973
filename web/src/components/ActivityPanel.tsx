import { humanName } from "../model/words";
import { useServices } from "../hooks/useServices";
import { useClaims } from "../hooks/useSession";
import { useStore } from "../hooks/useStore";
import { EventTypePicker } from "./EventTypePicker";
import { Icon } from "./Icon";
import { Time } from "./Time";
import { who } from "./who";

/** The latest events as they arrive: what, about whom, when, by whom. */
export function ActivityPanel() {
  const { activity, live } = useServices();
  const { userId } = useClaims();
  const items = useStore(activity.items);
  const chosen = useStore(live.chosenTypes);
  const shown = chosen === undefined ? items : items.filter((item) => chosen.includes(item.type));
  return (
    <aside className="card activity" aria-labelledby="activity-title">
      <header className="activity-header">
        <h2 id="activity-title">
          <Icon name="activity" />
          Activity
        </h2>
        <EventTypePicker />
      </header>
      {shown.length === 0 ? (
        <p className="activity-empty muted">{chosen?.length === 0 ? "Choose an event type above." : "Events show up here as they happen."}</p>
      ) : (
        <ol className="activity-list" aria-label="Latest events" aria-live="off">
          {shown.map((item) => (
            <li key={item.eventId} data-type={item.type}>
              <span className="activity-mark" aria-hidden="true" />
              <div className="activity-what">
                <span className="activity-type">{humanName(item.type)}</span>
                {item.detail !== "" && <span className="activity-detail">{item.detail}</span>}
                <span className="activity-subject">{item.subject}</span>
              </div>
              <div className="activity-when muted">
                <Time iso={item.occurredAt} />
                <span>{who(item.issuedBy, userId)}</span>
              </div>
            </li>
          ))}
        </ol>
      )}
    </aside>
  );
}
