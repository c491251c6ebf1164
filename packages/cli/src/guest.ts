import type { ConnectRequest, Credentials } from "@tungstate/hub";

const LONGEST_NAME = 200; // characters as JavaScript counts them; the page lets people have 32 of theirs

/**
 * Who comes without a token: anybody, called what they say (`data: { name }` of their client). It goes with what they publish and with their
 * presence, joins and leaves, as `connInfo: { name }`. A name proves nothing: only the client id beside it is the server's.
 */
export function guest({ data }: ConnectRequest): Credentials {
  if (typeof data !== "object" || data === null || !("name" in data)) return { user: "" };
  const { name } = data;
  return typeof name === "string" && name !== "" && name.length <= LONGEST_NAME
    ? { user: "", info: { name } }
    : { user: "" };
}
