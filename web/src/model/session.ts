// Who is signed in, and a token that is fresh when it is needed.
// The refresh token may be used once only: a second use revokes the whole family. So refreshing is single-flight, and
// because a duplicated tab inherits sessionStorage, tabs of one sign-in take a lock and tell each other the new pair.
import { ApiError, NetworkError, readProblem } from "./problem";
import { Store } from "../core/store";

export interface Session {
  /** Of this sign-in; shared by duplicated tabs. */
  id: string;
  username: string;
  accessToken: string;
  refreshToken: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

export interface SessionOptions {
  fetch: typeof fetch;
  storage: Pick<Storage, "getItem" | "setItem" | "removeItem">;
  newId: () => string;
  channel?: Pick<BroadcastChannel, "postMessage" | "addEventListener">;
  locks?: Pick<LockManager, "request">;
}

const KEY = "events.session";
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class SessionKeeper {
  readonly current: Store<Session | undefined>;
  /** True once the server has refused to renew the session; the sign-in page says so. */
  readonly expired = new Store(false);
  readonly #options: SessionOptions;
  #refreshing: Promise<Session> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.current = new Store(this.#restore());
    options.channel?.addEventListener("message", (event) => this.#adopt((event as MessageEvent).data));
    this.#schedule();
  }

  async signIn(username: string, password: string): Promise<void> {
    const tokens = await this.#post("/api/auth/login", { username, password });
    this.expired.set(false);
    this.#keep({ id: this.#options.newId(), username, ...tokens });
  }

  signOut(): void {
    clearTimeout(this.#timer);
    this.#options.storage.removeItem(KEY);
    this.current.set(undefined);
  }

  /** A token that holds for some seconds more. Throws ApiError 401 when nobody is signed in. */
  async accessToken(): Promise<string> {
    const session = this.#required();
    if (session.expiresAt - Date.now() > 5_000) return session.accessToken;
    return (await this.refresh(session.accessToken)).accessToken;
  }

  /** Renews the session unless `stale` has been replaced meanwhile. However many ask, one request goes out. */
  refresh(stale: string): Promise<Session> {
    const session = this.current.get();
    if (session !== undefined && session.accessToken !== stale) return Promise.resolve(session);
    this.#refreshing ??= this.#locked(() => this.#renew(stale)).finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #renew(stale: string): Promise<Session> {
    const session = this.#required();
    if (session.accessToken !== stale) return session; // another tab was first
    try {
      const tokens = await this.#post("/api/auth/refresh", { refreshToken: session.refreshToken });
      if (this.current.get()?.id !== session.id) throw signedOut(); // signed out while we waited
      const next = { ...session, ...tokens };
      this.#keep(next);
      this.#options.channel?.postMessage(next);
      return next;
    } catch (error) {
      const refused = error instanceof ApiError && [400, 401, 403].includes(error.status);
      if (refused && this.current.get()?.id === session.id) {
        this.expired.set(true);
        this.signOut();
      }
      throw error;
    }
  }

  async #locked(work: () => Promise<Session>): Promise<Session> {
    const locks = this.#options.locks;
    const id = this.current.get()?.id;
    if (locks === undefined || id === undefined) return work();
    return (await locks.request(`events-refresh-${id}`, work)) as Session;
  }

  async #post(path: string, body: object): Promise<Pick<Session, "accessToken" | "refreshToken" | "expiresAt">> {
    let response: Response;
    try {
      response = await this.#options.fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: JSON.stringify(body),
      });
    } catch (error) {
      throw new NetworkError(error);
    }
    if (!response.ok) throw new ApiError(await readProblem(response), retryAfter(response));
    const reply = (await response.json()) as { accessToken: string; refreshToken: string; expiresIn: number };
    return {
      accessToken: reply.accessToken,
      refreshToken: reply.refreshToken,
      expiresAt: Date.now() + Number(reply.expiresIn) * 1000,
    };
  }

  #required(): Session {
    const session = this.current.get();
    if (session === undefined) throw signedOut();
    return session;
  }

  #keep(session: Session): void {
    this.#options.storage.setItem(KEY, JSON.stringify(session));
    this.current.set(session);
    this.#schedule();
  }

  #adopt(session: Session): void {
    const mine = this.current.get();
    if (mine !== undefined && mine.id === session.id && session.expiresAt > mine.expiresAt) this.#keep(session);
  }

  /** Renews when four fifths of the remaining life are over, at the latest a minute before the end. */
  #schedule(): void {
    clearTimeout(this.#timer);
    const session = this.current.get();
    if (session === undefined) return;
    const left = session.expiresAt - Date.now();
    const wait = Math.min(LONGEST_TIMER_MS, Math.max(1_000, Math.min(left * 0.8, left - 60_000), left * 0.5));
    this.#timer = setTimeout(() => {
      this.refresh(session.accessToken).catch(() => {
        if (this.current.get() !== undefined) this.#timer = setTimeout(() => this.#schedule(), 5_000);
      });
    }, wait);
  }

  #restore(): Session | undefined {
    try {
      const stored = JSON.parse(this.#options.storage.getItem(KEY) ?? "null") as Session | null;
      return typeof stored?.refreshToken === "string" ? stored : undefined;
    } catch {
      return undefined;
    }
  }
}

export function retryAfter(response: Response): number | undefined {
  const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  return Number.isFinite(seconds) ? seconds : undefined;
}

function signedOut(): ApiError {
  return new ApiError({
    code: "unauthorized", title: "Not signed in", status: 401, detail: "", correlationId: "", errors: [],
  });
}
