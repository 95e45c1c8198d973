import { useServices } from "../hooks/useServices";
import { useStore } from "../hooks/useStore";
import { Icon } from "./Icon";

export function NoticeList() {
  const { notices } = useServices();
  const items = useStore(notices.items);
  return (
    <div className="notices" role="status" aria-live="polite">
      {items.map((item) => (
        <div key={item.id} className={`notice notice-${item.tone}`}>
          <Icon name={item.tone === "good" ? "check" : "alert"} />
          <span>{item.text}</span>
          <button type="button" className="button-icon" aria-label="Dismiss" onClick={() => notices.dismiss(item.id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
