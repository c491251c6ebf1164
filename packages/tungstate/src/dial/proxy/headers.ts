import { checkHeaders, type HeaderInput, isAuthority } from "@tungstate/protocol";
import { argumentError } from "@tungstate/protocol/internal";

/** Header fields that can be read more than once. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

const ALLOWED = "a field other than Connection, Upgrade, Content-Length, Transfer-Encoding and Sec-WebSocket-*";

/**
 * Returns the header fields that the caller adds to a CONNECT request, as a flat list. Throws
 * INVALID_ARGUMENT if a name is not a token, a value has a control character, a field belongs to
 * the handshake or the message framing (`checkHeaders`), Host or Proxy-Authorization comes more
 * than once, or Host is not a host.
 */
export function checkProxyHeaders(input: HeaderInput | undefined): HeaderList {
  const fields = checkHeaders(input, "proxyHeaders", ALLOWED);
  for (const name of ["host", "proxy-authorization"]) {
    const values = fields.filter(([each]) => each.toLowerCase() === name);
    if (values.length > 1) {
      throw argumentError(TypeError, `proxyHeaders must have at most one ${values[0]?.[0]}, got ${values.length}`);
    }
    const [[, value] = []] = values;
    if (name === "host" && value !== undefined && !isAuthority(value)) {
      throw argumentError(
        TypeError,
        `Host of proxyHeaders must be a host name or an address, with a port or without, got ${JSON.stringify(value)}`,
      );
    }
  }
  return fields;
}
