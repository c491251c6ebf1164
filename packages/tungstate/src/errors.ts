import { type ErrorEntry, type ErrorMaker, WebSocketError } from "@tungstate/protocol";
import { errorMaker } from "@tungstate/protocol/internal";

/** Where on the way to a WebSocket something happened. */
export type ConnectStep = "resolve" | "bind" | "connect" | "proxy" | "tls" | "settings" | "handshake";

/** One row of the table: `step` is where this happens, unless the error says otherwise. */
export interface ConnectionErrorEntry extends ErrorEntry {
  readonly step: ConnectStep;
}

/**
 * Everything that can go wrong before a connection is open, in the order of how far it got: where
 * several routes or addresses failed, the error that speaks for all of them is the one furthest
 * down in this table.
 */
export const CONNECTION_ERRORS = {
  INVALID_URL: { step: "resolve", fault: "local", text: "the URL is not a valid WebSocket URL" },
  // bind: the local end (told before anything is sent, whatever the name resolves to)
  PACKAGE_MISSING: { step: "bind", fault: "local", text: "an optional package is not installed" },
  NOT_SUPPORTED: { step: "bind", fault: "local", text: "the system or the runtime does not support this" },
  NO_SUCH_INTERFACE: { step: "bind", fault: "local", text: "no such network interface" },
  INTERFACE_DOWN: { step: "bind", fault: "transport", text: "the network interface is down or has no address" },
  // resolve
  RESOLVE_TIMEOUT: { step: "resolve", fault: "transport", text: "the host name was not resolved in time" },
  RESOLVE_FAILED: { step: "resolve", fault: "transport", text: "the host name was not resolved" },
  // bind, for a remote address that is known
  NO_ADDRESS_OF_FAMILY: {
    step: "bind",
    fault: "local",
    text: "the network interface has no address of the family needed",
  },
  ADDRESS_NOT_LOCAL: { step: "bind", fault: "local", text: "the local address does not belong to this machine" },
  BIND_NOT_PERMITTED: { step: "bind", fault: "local", text: "binding is not permitted" },
  ADDRESS_IN_USE: { step: "bind", fault: "local", text: "the local address and port are in use" },
  BIND_FAILED: { step: "bind", fault: "local", text: "binding failed" },
  // connect
  ABORTED: { step: "connect", fault: "local", text: "the attempt was aborted" },
  TIMEOUT: { step: "connect", fault: "transport", text: "the connection was not established in time" },
  UNREACHABLE: { step: "connect", fault: "transport", text: "no route to the host" },
  CONNECT_TIMEOUT: { step: "connect", fault: "transport", text: "the host did not answer in time" },
  CONNECT_FAILED: { step: "connect", fault: "transport", text: "connecting failed" },
  REFUSED: { step: "connect", fault: "transport", text: "the host refused the connection" },
  // proxy
  INVALID_PROXY: { step: "proxy", fault: "local", text: "the proxy URL is not valid" },
  PROXY_TIMEOUT: { step: "proxy", fault: "transport", text: "the proxy did not answer in time" },
  PROXY_FAILED: { step: "proxy", fault: "transport", text: "the proxy did not connect" },
  PROXY_DENIED: { step: "proxy", fault: "local", text: "the proxy does not allow this connection" },
  PROXY_AUTH: { step: "proxy", fault: "local", text: "the proxy rejected the credentials" },
  // tls
  TLS_TIMEOUT: { step: "tls", fault: "transport", text: "the TLS handshake took too long" },
  TLS_CLOSED: { step: "tls", fault: "transport", text: "the connection was closed during the TLS handshake" },
  TLS_FAILED: { step: "tls", fault: "peer", text: "the TLS handshake failed" },
  TLS_PROTOCOL: { step: "tls", fault: "peer", text: "no common TLS version or cipher suite" },
  TLS_ALPN: { step: "tls", fault: "peer", text: "the server does not support HTTP/1.1 on this port" },
  TLS_ALERT: { step: "tls", fault: "peer", text: "the server ended the TLS handshake" },
  TLS_CLIENT_CERTIFICATE: { step: "tls", fault: "local", text: "the server requires another client certificate" },
  TLS_CERTIFICATE: { step: "tls", fault: "peer", text: "the server's certificate is not valid" },
  TLS_UNKNOWN_AUTHORITY: {
    step: "tls",
    fault: "peer",
    text: "the server's certificate comes from an unknown authority",
  },
  TLS_SELF_SIGNED: { step: "tls", fault: "peer", text: "the server's certificate is self-signed" },
  TLS_EXPIRED: { step: "tls", fault: "peer", text: "the server's certificate has expired" },
  TLS_NOT_YET_VALID: { step: "tls", fault: "peer", text: "the server's certificate is not valid yet" },
  TLS_REVOKED: { step: "tls", fault: "peer", text: "the server's certificate has been revoked" },
  TLS_HOST_MISMATCH: { step: "tls", fault: "peer", text: "the server's certificate is for another host" },
  TLS_PIN_MISMATCH: { step: "tls", fault: "peer", text: "the server's public key is not one of the pinned ones" },
  // HTTP/2: ALPN, then the SETTINGS of the server
  HTTP2_NOT_SUPPORTED: { step: "tls", fault: "peer", text: "the server does not support HTTP/2 on this port" },
  SETTINGS_TIMEOUT: { step: "settings", fault: "peer", text: "the server did not send its HTTP/2 settings in time" },
  EXTENDED_CONNECT_DISABLED: {
    step: "settings",
    fault: "peer",
    text: "the server does not support WebSocket over HTTP/2",
  },
  // handshake: that of the WebSocket
  NOT_ENCRYPTED: { step: "handshake", fault: "local", text: "a wss: URL needs an encrypted stream" },
  HANDSHAKE_TIMEOUT: { step: "handshake", fault: "peer", text: "the WebSocket handshake took too long" },
  HANDSHAKE_CLOSED: {
    step: "handshake",
    fault: "peer",
    text: "the connection was closed during the WebSocket handshake",
  },
  STREAM_LIMIT: { step: "handshake", fault: "peer", text: "the server allows no stream on its HTTP/2 connection" },
  STREAM_REFUSED: { step: "handshake", fault: "peer", text: "the server refused the HTTP/2 stream" },
  REDIRECT_INVALID: {
    step: "handshake",
    fault: "peer",
    text: "the server redirects to a URL that is not a WebSocket URL",
  },
  REDIRECT_INSECURE: { step: "handshake", fault: "peer", text: "the server redirects from wss: to ws:" },
  REDIRECT_LIMIT: { step: "handshake", fault: "peer", text: "the server redirects more often than maxRedirects" },
} as const satisfies Record<string, ConnectionErrorEntry>;

// Rows of two tables: a bundler can leave out a table only if it contains no spread.
const HANDLER_FAILED = { fault: "local", closeCode: 1011, text: "a handler of the application threw" } as const;
const CLOSED_BY_SIGNAL = {
  fault: "local",
  closeCode: 1001,
  text: "the connection was ended by its abort signal",
} as const;

/** What the application does to end a connection, on every platform. */
const APPLICATION_ERRORS = { HANDLER_FAILED, CLOSED_BY_SIGNAL } as const satisfies Record<string, ErrorEntry>;

/** What ends an open connection, besides the errors of the protocol. */
export const ENDPOINT_ERRORS = {
  MESSAGE_TOO_SLOW: { fault: "peer", closeCode: 1013, text: "a message arrived more slowly than minDataRate" },
  SLOW_CONSUMER: { fault: "peer", closeCode: 1013, text: "the peer does not read fast enough" },
  OUT_OF_BUDGET: {
    fault: "local",
    closeCode: 1013,
    text: "all connections together use more memory than memoryBudget",
  },
  HANDLER_FAILED,
  CLOSED_BY_SIGNAL,
} as const satisfies Record<string, ErrorEntry>;

/** Codes of the rows of ENDPOINT_ERRORS. */
export type EndpointErrorCode = keyof typeof ENDPOINT_ERRORS;

/**
 * Returns the error for a row of ENDPOINT_ERRORS. `detail` says what was expected and what came.
 */
export const endpointError: ErrorMaker<EndpointErrorCode> = /* @__PURE__ */ errorMaker(ENDPOINT_ERRORS);

/** Returns the error for a row of APPLICATION_ERRORS. */
export const applicationError: ErrorMaker<keyof typeof APPLICATION_ERRORS> =
  /* @__PURE__ */ errorMaker(APPLICATION_ERRORS);

/** Codes of the rows of CONNECTION_ERRORS. */
export type ConnectionErrorCode = keyof typeof CONNECTION_ERRORS;

/** What was tried when it failed. Never holds credentials. */
export interface Tried {
  /** The host name or IP address. */
  readonly host?: string | undefined;
  /** The network interface. */
  readonly interface?: string | undefined;
  /** The local IP address. */
  readonly localAddress?: string | undefined;
  /** The local port. */
  readonly localPort?: number | undefined;
  /** The IP address of the server, or of the proxy. */
  readonly remoteAddress?: string | undefined;
  /** The port of the server, or of the proxy. */
  readonly remotePort?: number | undefined;
  /** The path of a Unix socket. */
  readonly path?: string | undefined;
  /** The proxy's URL, without credentials. */
  readonly proxy?: string | undefined;
}

export interface ConnectErrorOptions {
  readonly cause?: unknown;
  readonly tried?: Tried;
  /** Where it happened, if not where this code usually does (a timeout, an abort). */
  readonly step?: ConnectStep;
  /** The failures of all the addresses or routes that were tried, where there were several. */
  readonly attempts?: readonly WebSocketError[];
}

/** A connection that did not come about: `step` says where it ended, `tried` what was tried. */
export class ConnectError extends WebSocketError<ConnectionErrorCode> {
  /** The step that failed: resolve, bind, connect, proxy, tls or handshake. */
  readonly step: ConnectStep;
  /** What was tried when it failed. */
  readonly tried: Tried;
  /** The failures of all addresses or routes, where there were several; else empty. */
  readonly attempts: readonly WebSocketError[];

  constructor(code: ConnectionErrorCode, detail?: string, options: ConnectErrorOptions = {}) {
    const tried = describeTried(options.tried);
    const text = [detail, tried].filter((part) => part !== undefined && part !== "").join(", ");
    super(
      code,
      CONNECTION_ERRORS[code],
      text === "" ? undefined : text,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.step = options.step ?? CONNECTION_ERRORS[code].step;
    this.tried = options.tried ?? {};
    this.attempts = options.attempts ?? [];
  }
}

/** The error for a row of CONNECTION_ERRORS. `detail` says what was expected and what came. */
export function connectError(code: ConnectionErrorCode, detail?: string, options?: ConnectErrorOptions): ConnectError {
  return new ConnectError(code, detail, options);
}

/**
 * `to 10.0.0.9:443 (example.com) from 10.0.0.2 on eth1 through http://proxy:3128`, or what of that
 * is known.
 */
export function describeTried(tried: Tried = {}): string {
  const { host, remoteAddress, remotePort, localAddress, localPort } = tried;
  const to = remoteAddress ?? host;
  const parts: string[] = [];
  if (to !== undefined) parts.push(`to ${showAddress(to, remotePort)}`);
  if (remoteAddress !== undefined && host !== undefined && host !== remoteAddress) parts.push(`(${host})`);
  if (tried.path !== undefined) parts.push(`to ${tried.path}`);
  if (localAddress !== undefined) parts.push(`from ${showAddress(localAddress, localPort)}`);
  else if (localPort !== undefined) parts.push(`from port ${localPort}`);
  if (tried.interface !== undefined) parts.push(`on ${tried.interface}`);
  if (tried.proxy !== undefined) parts.push(`through ${tried.proxy}`);
  return parts.join(" ");
}

/** `host:port`, with the brackets that an IPv6 address needs. */
export function showAddress(address: string, port?: number): string {
  if (port === undefined) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * One error for several failures: the one that got furthest, with all of them listed in its message
 * and in `attempts`. Never called without a failure.
 */
export function combineFailures(failures: readonly WebSocketError[], what: string): WebSocketError {
  const speaker = furthest(failures);
  if (speaker === undefined) throw new RangeError("no failures to combine");
  if (failures.length === 1 || !(speaker instanceof ConnectError)) return speaker;
  const list = failures.map((failure) =>
    `${failure.code} ${failure instanceof ConnectError ? describeTried(failure.tried) : failure.message}`.trim(),
  );
  return new ConnectError(speaker.code, `${failures.length} ${what} failed: ${list.join("; ")}`, {
    cause: speaker,
    step: speaker.step,
    attempts: failures,
  });
}

/**
 * How far a failed attempt got; an error that is no row of this table comes from the WebSocket
 * handshake, the last step.
 */
function progress(error: WebSocketError): number {
  // a timeout or an abort at another step than in its row: as far as anything of that step
  if (error instanceof ConnectError && error.step !== CONNECTION_ERRORS[error.code].step) {
    return Object.values(CONNECTION_ERRORS).findLastIndex(({ step }) => step === error.step);
  }
  const codes = Object.keys(CONNECTION_ERRORS);
  const at = codes.indexOf(error.code);
  return at < 0 ? codes.length : at;
}

/**
 * The one of several errors that got furthest, the first of those that got equally far; undefined
 * if there is none.
 */
export function furthest(errors: readonly WebSocketError[]): WebSocketError | undefined {
  return errors.reduce<WebSocketError | undefined>(
    (best, error) => (best === undefined || progress(error) > progress(best) ? error : best),
    undefined,
  );
}

/**
 * The reason of a signal when the time for all steps together is up. What it ends makes an error of
 * it that names its step.
 */
export class OverallTimeout {
  readonly milliseconds: number;

  constructor(milliseconds: number) {
    this.milliseconds = milliseconds;
  }
}

/**
 * What a rejection says when `signal` ended the attempt: the signal's reason where that already is
 * one of our errors (a deadline of one step), TIMEOUT with the step that was under way for the
 * overall deadline and for `AbortSignal.timeout()`, else ABORTED with the reason as its cause.
 */
export function abortedError(signal: AbortSignal, options: ConnectErrorOptions = {}): WebSocketError {
  const reason: unknown = signal.reason;
  if (reason instanceof WebSocketError) return reason;
  if (reason instanceof OverallTimeout) return connectError("TIMEOUT", `timeout is ${reason.milliseconds} ms`, options);
  const timedOut = reason instanceof DOMException && reason.name === "TimeoutError";
  return new ConnectError(timedOut ? "TIMEOUT" : "ABORTED", undefined, { ...options, cause: reason });
}
