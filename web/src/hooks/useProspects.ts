import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { keys } from "../model/prospect-cache";
import type { ProspectFilter } from "../model/prospect";
import { useServices } from "./useServices";

/** The list for one search and order. Loaded once; from then on the stream keeps it (model/prospect-cache.ts). */
export function useProspects(filter: ProspectFilter) {
  const { api, cache, live } = useServices();
  const query = useInfiniteQuery({
    queryKey: keys.list(filter),
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam, signal }) => {
      const page = await cache.load(filter, (minPosition) => api.listProspects(filter, pageParam, minPosition, signal));
      if (pageParam === undefined) live.listLoaded(page);
      cache.checkPosition(page.position);
      return page;
    },
    getNextPageParam: (page) => page.nextCursor,
    placeholderData: keepPreviousData,
    structuralSharing: (old, fresh) => cache.share(filter, old, fresh),
  });
  const { data } = query;
  const prospects = useMemo(() => {
    const rows = (data?.pages ?? []).flatMap((page) => page.items);
    return [...new Map(rows.map((row) => [row.prospectId, row])).values()]; // pages may overlap after an insert
  }, [data]);
  return { ...query, prospects };
}
