import type { ReactNode } from "react";
import { Icon } from "./Icon";

interface Props {
  icon: "people" | "search" | "alert";
  title: string;
  children: ReactNode;
  action?: { label: string; run: () => void } | undefined;
}

export function EmptyState({ icon, title, children, action }: Props) {
  return (
    <div className="empty">
      <span className="empty-icon">
        <Icon name={icon} />
      </span>
      <h2>{title}</h2>
      <p className="muted">{children}</p>
      {action && (
        <button type="button" className="button" onClick={action.run}>
          {action.label}
        </button>
      )}
    </div>
  );
}
