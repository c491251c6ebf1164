import type { ClientInfo } from "../broker/broker.ts";
import type { TimeSlices } from "../schedule/time-slices.ts";
import type { PresenceStore } from "./presence-store.ts";

/** Limits of one page. */
const PAGE = { limit: 512, maxBytes: 64 * 1024 };

/**
 * Reads a channel's clients page by page, each client once, until all are read or `take` returns
 * false. Yields to other work meanwhile. Returns the cursor of the next page if it stopped before
 * the end.
 */
export async function readClients(
  store: PresenceStore,
  slices: TimeSlices,
  channel: string,
  from: string | undefined,
  take: (clients: readonly ClientInfo[]) => boolean,
): Promise<string | undefined> {
  const seen = new Set<string>(); // a client that is renewed meanwhile may come twice
  const loop = slices.loop();
  try {
    for (let after = from; ;) {
      const { clients, next } = await store.clients(channel, { ...PAGE, after });
      const fresh = seen.size === 0 ? clients : clients.filter(({ client }) => !seen.has(client));
      if (next !== undefined) for (const { client } of fresh) seen.add(client);
      const goesOn = take(fresh);
      if (next === undefined || !goesOn) return next;
      after = next;
      if (loop.isOver(clients.length)) await loop.next();
    }
  } finally {
    loop.end();
  }
}
