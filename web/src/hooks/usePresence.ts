import { useEffect, useState } from "react";
import { useServices } from "./useServices";
import { useSession } from "./useSession";

/** Who else looks at a prospect now, for as long as the component that asks is shown: whoever asks is seen, too. */
export function usePresence(prospectId: number | undefined): readonly string[] {
  const { live } = useServices();
  const [users, setUsers] = useState<readonly string[]>([]);
  const me = useSession()?.username;
  useEffect(() => {
    if (prospectId === undefined) return undefined;
    const subscription = live.client.subscribe({
      subjects: [`prospect/${prospectId}`],
      onEvent: () => undefined, // the list's own subscription has them
      onPresence: (presence) => setUsers(presence.users),
      reload: () => Promise.resolve(undefined), // from now on
    });
    return () => {
      subscription.close();
      setUsers([]);
    };
  }, [live, prospectId]);
  return users.filter((name) => name !== me);
}
