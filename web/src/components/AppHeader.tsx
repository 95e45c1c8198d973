import { useServices } from "../hooks/useServices";
import { useSession } from "../hooks/useSession";
import { Brand } from "./Brand";
import { ConnectionBadge } from "./ConnectionBadge";
import { Icon } from "./Icon";

export function AppHeader() {
  const { session } = useServices();
  const current = useSession();
  return (
    <header className="app-header">
      <Brand />
      <ConnectionBadge />
      <div className="app-user">
        <span className="app-user-name">{current?.username}</span>
        <button type="button" className="button button-quiet" onClick={() => session.signOut()}>
          <Icon name="out" />
          <span>Sign out</span>
        </button>
      </div>
    </header>
  );
}
