import type { ClientInfo } from "centrifuge";
import type { Person } from "../chat/people.ts";
import { cleanName } from "../chat/names.ts";

/** What this page publishes to a room. Who wrote it is said by the server: the client id, and the name that it was given. */
export interface Envelope {
  readonly id: string;
  readonly text: string;
  /** Unix time, ms, by the clock of whoever wrote it. */
  readonly at: number;
}

const ID = /^[\w-]{8,64}$/;
const EARLIEST = Date.UTC(2020, 0);

/** A publication of a page; or, with no id, what other programs have published, as text. */
export function readEnvelope(data: unknown, now: number): Omit<Envelope, "id"> & { readonly id: string | undefined } {
  if (typeof data === "string") return { id: undefined, text: data, at: now };
  if (typeof data !== "object" || data === null || !("text" in data) || typeof data.text !== "string") {
    return { id: undefined, text: JSON.stringify(data), at: now };
  }
  const id = "id" in data && typeof data.id === "string" && ID.test(data.id) ? data.id : undefined;
  const claimed = "at" in data && typeof data.at === "number" ? data.at : now;
  return { id, text: data.text, at: claimed >= EARLIEST && claimed <= now ? claimed : now };
}

/** Who that is. The name is what they say, the id the server's. */
export function personOf({ client, connInfo }: ClientInfo): Person {
  const info: unknown = connInfo;
  const named = typeof info === "object" && info !== null && "name" in info && typeof info.name === "string";
  return { client, name: (named ? cleanName(info.name as string) : undefined) ?? "someone" };
}
