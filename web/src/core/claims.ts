/** What the client reads from its own access token, to show and hide things. The server checks, this does not. */
export interface Claims {
  userId: string;
  tenantId: string;
  scopes: ReadonlySet<string>;
}

export function readClaims(accessToken: string): Claims {
  const body = decodePayload(accessToken);
  const text = (name: string): string => (typeof body[name] === "string" ? (body[name] as string) : "");
  return { userId: text("sub"), tenantId: text("tid"), scopes: new Set(text("scope").split(" ").filter(Boolean)) };
}

function decodePayload(token: string): Record<string, unknown> {
  try {
    const part = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(part), (char) => char.charCodeAt(0));
    const parsed: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return parsed !== null && typeof parsed === "object" ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
