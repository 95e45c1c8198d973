import { useState, type FormEvent } from "react";
import { Banner } from "../components/Banner";
import { Brand } from "../components/Brand";
import { ApiError } from "../model/problem";
import { useServices } from "../hooks/useServices";
import { useStore } from "../hooks/useStore";

export function SignInPage() {
  const { session } = useServices();
  const expired = useStore(session.expired);
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string>();

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setFault(undefined);
    try {
      await session.signIn(username.trim(), password);
    } catch (error) {
      setFault(explain(error));
      setBusy(false);
    }
  };

  return (
    <main className="sign-in">
      <form className="card sign-in-card" onSubmit={(event) => void submit(event)}>
        <Brand />
        <div>
          <h1>Sign in</h1>
          <p className="muted">Every change arrives by itself.</p>
        </div>
        {expired && fault === undefined && <Banner tone="warn">Your session has ended. Sign in again.</Banner>}
        {fault !== undefined && <Banner tone="bad">{fault}</Banner>}
        <div className="field">
          <label htmlFor="username">User name</label>
          <input id="username" name="username" autoComplete="username" autoCapitalize="none" spellCheck={false}
            required autoFocus value={username} onChange={(event) => setUsername(event.target.value)} />
        </div>
        <div className="field">
          <label htmlFor="password">Password</label>
          <input id="password" name="password" type="password" autoComplete="current-password"
            required value={password} onChange={(event) => setPassword(event.target.value)} />
        </div>
        <button type="submit" className="button button-primary button-wide" disabled={busy}>
          {busy ? "Signing in…" : "Sign in"}
        </button>
      </form>
    </main>
  );
}

function explain(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  if (error.status === 400 || error.status === 401) return "User name or password is not right.";
  if (error.status === 429) return `Too many attempts. Try again in ${error.retryAfterSeconds ?? 60} seconds.`;
  return error.message;
}
