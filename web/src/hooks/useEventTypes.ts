import { useQuery } from "@tanstack/react-query";
import { useServices } from "./useServices";

export function useEventTypes() {
  const { api } = useServices();
  return useQuery({ queryKey: ["event-types"], queryFn: ({ signal }) => api.eventTypes(signal) });
}
