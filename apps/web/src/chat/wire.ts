import { cleanName } from "./names.ts";

/**
 * The messages between pages over `/ws`, where every message goes to everyone unchanged: JSON
 * objects with `chat: 1`. Other messages come from other programs and are displayed as they are.
 */
export type Packet =
  | {
      readonly type: "message";
      readonly client: string;
      readonly name: string;
      readonly id: string;
      readonly text: string;
    }
  /** Announces a newcomer and asks the others to announce themselves. */
  | { readonly type: "hello"; readonly client: string; readonly name: string }
  /** Announces presence and name. */
  | { readonly type: "here"; readonly client: string; readonly name: string }
  | { readonly type: "bye"; readonly client: string };

const VERSION = 1;
const ID = /^[\w-]{8,64}$/;

export function encodePacket(packet: Packet): string {
  return JSON.stringify({ chat: VERSION, ...packet });
}

/**
 * Decodes a message. Returns `foreign` for messages of other programs, `ignored` for those of a
 * later version of the page.
 */
export function decodePacket(data: string): Packet | "foreign" | "ignored" {
  const value = parseObject(data);
  if (value === undefined || typeof value.chat !== "number") return "foreign";
  const { type, client, id, text } = value;
  if (value.chat !== VERSION || typeof client !== "string" || !ID.test(client)) return "ignored";
  if (type === "bye") return { type, client };
  const name = typeof value.name === "string" ? cleanName(value.name) : undefined;
  if (name === undefined) return "ignored";
  if (type === "hello" || type === "here") return { type, client, name };
  if (type !== "message" || typeof id !== "string" || !ID.test(id)) return "ignored";
  return typeof text === "string" && text !== "" ? { type, client, name, id, text } : "ignored";
}

function parseObject(data: string): Readonly<Record<string, unknown>> | undefined {
  if (!data.startsWith("{")) return undefined;
  try {
    return JSON.parse(data) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** Describes bytes of a foreign message. */
export function describeBinary(bytes: Uint8Array): string {
  const shown = Array.from(bytes.subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const count = bytes.length === 1 ? "1 byte" : `${bytes.length.toLocaleString("en")} bytes`;
  return bytes.length === 0 ? "no bytes" : `${count}: ${shown}${bytes.length > 16 ? " …" : ""}`;
}
