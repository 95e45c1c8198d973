import type { ReactNode } from "react";
import { useServices } from "../hooks/useServices";
import { useSession } from "../hooks/useSession";
import { Brand } from "./Brand";
import { ConnectionBadge } from "./ConnectionBadge";
import { Icon } from "./Icon";

/** The children stand beside the user: what can be done from anywhere. */
export function AppHeader({ children }: { children?: ReactNode }) {
  const { session } = useServices();
  const current = useSession();
  return (
    <header className="app-header">
      <Brand />
      <ConnectionBadge />
      <div className="app-user">
        {children}
        <span className="app-user-name">{current?.username}</span>
        <button type="button" className="button button-quiet" onClick={() => session.signOut()}>
          <Icon name="out" />
          <span>Sign out</span>
        </button>
      </div>
    </header>
  );
}
