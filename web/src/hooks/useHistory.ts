import { useQuery } from "@tanstack/react-query";
import { keys } from "../model/prospect-cache";
import { useServices } from "./useServices";

export function useHistory(prospectId: number) {
  const { api, cache } = useServices();
  return useQuery({
    queryKey: keys.history(prospectId),
    queryFn: ({ signal }) => api.history(prospectId, cache.minPosition, signal),
  });
}
