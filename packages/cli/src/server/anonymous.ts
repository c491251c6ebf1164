import type { ConnectRequest, Credentials } from "@tungstate/hub";

const MAX_NAME_LENGTH = 200; // UTF-16 code units; the web page allows 32 characters

/**
 * Returns credentials for a client without a token. Anyone may connect. The client may choose a
 * display name with `data: { name }`; other clients receive it as `connInfo: { name }` with its
 * publications and presence. The name is not verified. Only the client ID is assigned by the
 * server.
 */
export function anonymousCredentials({ data }: ConnectRequest): Credentials {
  if (typeof data !== "object" || data === null || !("name" in data)) return { user: "" };
  const { name } = data;
  return typeof name === "string" && name !== "" && name.length <= MAX_NAME_LENGTH
    ? { user: "", info: { name } }
    : { user: "" };
}
