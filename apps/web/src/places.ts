import { cleanName } from "./chat/names.ts";

/** Where one can be on the page: a room of the hub, the chat with everybody over `/ws`, or with the server's figures. */
export type Place =
  { readonly kind: "room"; readonly name: string } | { readonly kind: "broadcast" } | { readonly kind: "server" };

export const LOBBY: Place = { kind: "room", name: "lobby" };

/** Characters of a room's name; with four bytes each, and a namespace, it is a channel that any hub takes. */
export const MAX_ROOM_LENGTH = 60;

const ROOM = "#/room/";

/** A room's name as people write it: perhaps as a channel, or with a hash. Undefined if nothing is left of it. */
export function roomName(text: string): string | undefined {
  return cleanName(text.trim().replace(/^(public:|#)/, ""), MAX_ROOM_LENGTH);
}

/** The place that the address of the page names; the lobby if it names none. */
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

/** What a place is called. */
export function titleOf(place: Place): string {
  if (place.kind === "room") return place.name;
  return place.kind === "broadcast" ? "Broadcast" : "Server";
}
