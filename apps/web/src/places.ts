import { cleanName } from "./chat/names.ts";

/** A place of the page: a room of the hub, the chat over `/ws`, or the server's statistics. */
export type Place =
  { readonly kind: "room"; readonly name: string } | { readonly kind: "broadcast" } | { readonly kind: "server" };

export const LOBBY: Place = { kind: "room", name: "lobby" };

/**
 * Maximum length of a room name in characters. With four bytes each, and a namespace, it fits the
 * default limit for channel names.
 */
export const MAX_ROOM_LENGTH = 60;

const ROOM = "#/room/";

/**
 * Parses a room name as typed by a user, with an optional namespace or hash sign. Returns undefined
 * if nothing is left of it.
 */
export function roomName(text: string): string | undefined {
  return cleanName(text.trim().replace(/^(public:|#)/, ""), MAX_ROOM_LENGTH);
}

/** Returns the place in the page's address, or the lobby. */
export function placeOf(hash: string): Place {
  if (hash === "#/broadcast") return { kind: "broadcast" };
  if (hash === "#/server") return { kind: "server" };
  if (!hash.startsWith(ROOM)) return LOBBY;
  try {
    const name = roomName(decodeURIComponent(hash.slice(ROOM.length)));
    return name === undefined ? LOBBY : { kind: "room", name };
  } catch {
    return LOBBY; // half of an escape
  }
}

export function hashOf(place: Place): string {
  return place.kind === "room" ? ROOM + encodeURIComponent(place.name) : `#/${place.kind}`;
}

/** Returns the title of a place. */
export function titleOf(place: Place): string {
  if (place.kind === "room") return place.name;
  return place.kind === "broadcast" ? "Broadcast" : "Server";
}
