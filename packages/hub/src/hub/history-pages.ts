import { type HistoryFilter, type HistoryPage, isPlaceIn } from "../broker/broker.ts";
import { commandError } from "../codes.ts";
import type { TimeSlices } from "../schedule/time-slices.ts";
import type { HistoryOptions } from "./operation-types.ts";

/** How much of a history is read at a time. */
const PAGE = { limit: 1000, maxBytes: 256 * 1024 };

/**
 * Reads as much as is asked for, page by page; of a page with `maxBytes` no more than that. Other
 * work has its turn meanwhile. Rejects with a CommandError (112) where `since` is no place in the
 * stream.
 */
export async function readHistory(
  read: (filter: HistoryFilter) => Promise<HistoryPage>,
  slices: TimeSlices,
  { since, limit = 0, reverse, maxBytes }: HistoryOptions,
): Promise<HistoryPage> {
  const first = await read({ since, limit: atMost(limit, PAGE.limit), reverse, maxBytes: maxBytes ?? PAGE.maxBytes });
  if (since !== undefined && !isPlaceIn(first, since)) throw commandError("UNRECOVERABLE_POSITION");
  let publications = [...first.publications];
  const loop = slices.loop();
  try {
    for (let page = first; maxBytes === undefined && page.publications.length > 0;) {
      const last = publications.at(-1)?.offset ?? 0;
      if (publications.length === limit || (reverse === true ? last <= 1 : last >= first.offset)) break;
      if (loop.isOver(page.publications.length)) await loop.next();
      page = await read({
        since: { offset: last, epoch: first.epoch },
        limit: atMost(left(limit, publications), PAGE.limit),
        reverse,
        maxBytes: PAGE.maxBytes,
      });
      if (page.epoch !== first.epoch) break;
      // what was read before has gone meanwhile, and with it what comes between
      if (reverse !== true && (page.publications[0]?.offset ?? last + 1) > last + 1) publications = [];
      for (const publication of page.publications)
        if (publication.offset <= first.offset) publications.push(publication);
    }
  } finally {
    loop.end();
  }
  return { ...first, publications };
}

/** Of two numbers of publications the lower one; -1 is no limit. */
function atMost(limit: number, most: number): number {
  return limit < 0 ? most : Math.min(limit, most);
}

/** How many more are wanted. */
function left(limit: number, got: readonly unknown[]): number {
  return limit < 0 ? limit : limit - got.length;
}
