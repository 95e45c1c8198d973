// What a client reads of its own access token, to show and hide things and to renew it in time. The server checks it,
// this does not.

/** The claims; {} where it is no JSON Web Token. */
export function tokenClaims(token: string): Record<string, unknown> {
  try {
    const part = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(part), (char) => char.charCodeAt(0));
    const parsed: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return parsed !== null && typeof parsed === "object" ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** Whose connection it is: tabs share one where tenant, user and scopes are the same. Throws where the token does not say. */
export function tokenOwner(token: string): string {
  const { tid, sub, scope } = tokenClaims(token);
  if (typeof sub !== "string") throw new Error("whose token it is cannot be read");
  return JSON.stringify([tid, sub, String(scope ?? "").split(" ").sort()]);
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** How long to wait with the renewal: four fifths of what is left, a minute before the end at the latest; half of a short life. */
export function renewAfterMs(expiresAt: number, now: number): number {
  const left = expiresAt - now;
  return Math.min(LONGEST_TIMER_MS, Math.max(1_000, Math.min(left * 0.8, left - 60_000), left * 0.5));
}
