import { argumentError } from "@tungstate/protocol/internal";
import { Http2Sessions } from "../http2/client/http2-sessions.ts";
import { invalid } from "../options/check.ts";
import type { OptionNames } from "../options/names.ts";
import type { TlsOptions } from "../tls/options.ts";
import type { HttpVersion } from "../transport/route.ts";

/** Options of `connect` for the version of HTTP. */
export interface HttpVersionOptions {
  /**
   * Version of HTTP for the handshake. `"2"`: WebSocket over HTTP/2 (RFC 8441), on a TCP connection
   * that connections to the same server share; for `ws:`, the server must support HTTP/2 without
   * TLS. `"auto"`: HTTP/2 if the server supports it for WebSocket, otherwise HTTP/1.1, and always
   * HTTP/1.1 for `ws:`. Default `"1.1"`.
   */
  readonly httpVersion?: HttpVersion | "auto" | undefined;
  /** The HTTP/2 sessions to share. Default: those of all connections of the process. */
  readonly http2Sessions?: Http2Sessions | undefined;
}

export const HTTP_VERSION_OPTIONS: OptionNames<HttpVersionOptions> = {
  httpVersion: true,
  http2Sessions: true,
};

/** Returns the version, checked with the options that it excludes. Throws INVALID_ARGUMENT. */
export function httpVersion(options: HttpVersionOptions & { readonly tls?: TlsOptions }): HttpVersion | "auto" {
  const { httpVersion: version = "1.1", http2Sessions } = options;
  if (version !== "1.1" && version !== "2" && version !== "auto") {
    return invalid("httpVersion", '"1.1", "2" or "auto"', version);
  }
  if (http2Sessions !== undefined && !(http2Sessions instanceof Http2Sessions)) {
    invalid("http2Sessions", "an Http2Sessions", http2Sessions);
  }
  if (version !== "1.1" && options.tls?.alpnProtocols !== undefined) {
    throw argumentError(TypeError, `tls.alpnProtocols is set by httpVersion "${version}": leave it out`);
  }
  return version;
}
