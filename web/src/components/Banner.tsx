import type { ReactNode } from "react";
import { Icon } from "./Icon";

interface Props {
  tone: "bad" | "warn";
  children: ReactNode;
  action?: { label: string; run: () => void } | undefined;
}

export function Banner({ tone, children, action }: Props) {
  return (
    <div className={`banner banner-${tone}`} role="alert">
      <Icon name="alert" />
      <div className="banner-text">{children}</div>
      {action && (
        <button type="button" className="button button-small" onClick={action.run}>
          {action.label}
        </button>
      )}
    </div>
  );
}
