import type { Channels } from "../channels/channels.ts";
import type { PresenceEntry, PresenceStore } from "../presence/presence-store.ts";
import type { TimeSlices } from "../schedule/time-slices.ts";

/** Entries that are renewed with one call of the presence store. */
const AT_ONCE = 512;

/**
 * Renews the presence of all subscribers of this node; other work has its turn meanwhile. A client
 * that leaves while one batch is on its way is in none of the following ones. A batch that fails,
 * which `onError` is told, does not keep the next ones from being renewed.
 */
export async function renewPresence(
  channels: Channels,
  store: PresenceStore,
  slices: TimeSlices,
  onError: (error: unknown) => void,
): Promise<void> {
  const renew = (some: readonly PresenceEntry[]): Promise<void> => store.renew(some).catch(onError);
  const loop = slices.loop();
  let entries: PresenceEntry[] = [];
  for (const channel of channels.values()) {
    if (loop.isOver()) await loop.next();
    if (!channel.namespace.presence) continue;
    for (const { live, info } of channel.subscribers) {
      if (!live) continue;
      entries.push({ channel: channel.name, info });
      if (entries.length < AT_ONCE) continue;
      await renew(entries);
      entries = [];
      if (loop.isOver(AT_ONCE)) await loop.next();
    }
  }
  loop.end();
  if (entries.length > 0) await renew(entries);
}
