/** What the client reads from its own access token, to show and hide things. The server checks, this does not. */
import { tokenClaims } from "../core/token";

export interface Claims {
  userId: string;
  tenantId: string;
  scopes: ReadonlySet<string>;
}

export function readClaims(accessToken: string): Claims {
  const body = tokenClaims(accessToken);
  const text = (name: string): string => (typeof body[name] === "string" ? (body[name] as string) : "");
  return { userId: text("sub"), tenantId: text("tid"), scopes: new Set(text("scope").split(" ").filter(Boolean)) };
}
