import { useMemo } from "react";
import { readClaims, type Claims } from "../model/claims";
import type { Session } from "../model/session";
import { useServices } from "./useServices";
import { useStore } from "./useStore";

export function useSession(): Session | undefined {
  return useStore(useServices().session.current);
}

/** What the signed-in user may do. */
export function useClaims(): Claims {
  const token = useSession()?.accessToken ?? "";
  return useMemo(() => readClaims(token), [token]);
}
