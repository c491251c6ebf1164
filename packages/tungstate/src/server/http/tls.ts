import { argumentError } from "@tungstate/protocol/internal";
import { constants, createHash } from "node:crypto";
import { Socket } from "node:net";
import type { SecureContextOptions, TlsOptions, TLSSocket } from "node:tls";
import { openSecureContext } from "../../native/secure-context.ts";

/**
 * Returns the options of a TLS port, with defaults for WebSocket servers: no renegotiation, and
 * `protocols` by ALPN (RFC 7301 §3.2: a client that offers only other protocols gets an alert).
 * Processes with the same options have the same session context. (Node derives its default from the
 * command line: other processes would reject the tickets, even with the same `ticketKeys`.) Throws
 * INVALID_ARGUMENT for keys and certificates that OpenSSL cannot use.
 */
export function portOptions(tls: TlsOptions, protocols: string[]): TlsOptions {
  const options = {
    ALPNProtocols: protocols,
    sessionIdContext: sessionContext(tls),
    ...tls,
    // a new handshake in the middle of a connection (TLS 1.2) is work that any client could ask
    // for; TLS 1.3 has none
    secureOptions: (tls.secureOptions ?? 0) | constants.SSL_OP_NO_RENEGOTIATION,
  };
  try {
    openSecureContext(options);
  } catch (cause) {
    throw argumentError(TypeError, `tls: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
  return options;
}

/**
 * Options with some of them changed. A PFX takes the place of a key and a certificate, and they
 * its.
 */
export function changedTls(before: TlsOptions, changes: SecureContextOptions): TlsOptions {
  const all = { ...before, ...changes };
  if (changes.pfx !== undefined) {
    delete all.key;
    delete all.cert;
  } else if (changes.cert !== undefined) delete all.pfx;
  return all;
}

/**
 * Returns the socket of `sockets` that a TLS socket runs over. Node keeps it in a private property.
 * Without that property the addresses identify it, except on a Unix socket, which has no addresses.
 */
export function socketBelow(socket: TLSSocket, sockets: ReadonlyMap<Socket, unknown>): Socket | undefined {
  const below = parentOf(socket);
  if (below !== undefined && sockets.has(below)) return below;
  const { remoteAddress, remotePort } = socket;
  return [...sockets.keys()].find((each) => each.remotePort === remotePort && each.remoteAddress === remoteAddress);
}

/** Returns the socket that a TLS socket runs over; undefined where Node does not tell. */
export function parentOf(socket: TLSSocket): Socket | undefined {
  const below: unknown = Reflect.get(socket, "_parent");
  return below instanceof Socket ? below : undefined;
}

/**
 * A session stands for the check of the client's certificate, too: where that differs, none is
 * resumed.
 */
function sessionContext({ requestCert = false, rejectUnauthorized = true, ca }: TlsOptions): string {
  const hash = createHash("sha256").update(`tungstate ${requestCert} ${rejectUnauthorized}`);
  if (requestCert && ca !== undefined) for (const each of [ca].flat()) hash.update(each);
  return hash.digest("hex").slice(0, 32); // bytes: OpenSSL's SSL_MAX_SID_CTX_LENGTH
}
