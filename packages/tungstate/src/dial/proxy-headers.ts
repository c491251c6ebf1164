import { checkHeaders, type HeaderInput, isAuthority, protocolError } from "@tungstate/protocol";

/**
 * The header fields that the caller adds to a CONNECT request. Throws INVALID_ARGUMENT for those that cannot be sent: no token as a name, a
 * control character in a value, a field that says how the message is read, more than one Host or Proxy-Authorization, a Host that is none.
 */
export function checkProxyHeaders(input: HeaderInput | undefined): readonly (readonly [name: string, value: string])[] {
  const fields = checkHeaders(input, "proxyHeaders");
  for (const name of ["host", "proxy-authorization"]) {
    const values = fields.filter(([each]) => each.toLowerCase() === name);
    if (values.length > 1) {
      throw protocolError("INVALID_ARGUMENT", `proxyHeaders: expected one ${values[0]?.[0]}, got ${values.length}`);
    }
    const [[, value] = []] = values;
    if (name === "host" && value !== undefined && !isAuthority(value)) {
      throw protocolError("INVALID_ARGUMENT", `proxyHeaders: expected a host as Host, got ${JSON.stringify(value)}`);
    }
  }
  return fields;
}
