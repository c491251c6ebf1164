import type { ClientInfo } from "centrifuge";
import type { Person } from "../chat/people.ts";
import { cleanName } from "../chat/names.ts";

/** What this page publishes to a room. The server adds the author: client ID and name. */
export interface Envelope {
  readonly id: string;
  readonly text: string;
  /** Unix time in ms by the author's clock. */
  readonly at: number;
}

const ID = /^[\w-]{8,64}$/;
const EARLIEST = Date.UTC(2020, 0);

/** Decodes a publication. Publications of other programs have no ID and are displayed as text. */
export function readEnvelope(data: unknown, now: number): Omit<Envelope, "id"> & { readonly id: string | undefined } {
  if (typeof data === "string") return { id: undefined, text: data, at: now };
  if (typeof data !== "object" || data === null || !("text" in data) || typeof data.text !== "string") {
    return { id: undefined, text: JSON.stringify(data), at: now };
  }
  const id = "id" in data && typeof data.id === "string" && ID.test(data.id) ? data.id : undefined;
  const claimed = "at" in data && typeof data.at === "number" ? data.at : now;
  return { id, text: data.text, at: claimed >= EARLIEST && claimed <= now ? claimed : now };
}

/** Returns the author of a publication. The author chose the name; the server assigned the ID. */
export function personOf({ client, connInfo }: ClientInfo): Person {
  const info: unknown = connInfo;
  const named = typeof info === "object" && info !== null && "name" in info && typeof info.name === "string";
  return { client, name: (named ? cleanName(info.name as string) : undefined) ?? "someone" };
}
