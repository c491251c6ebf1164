import { argumentError } from "@tungstate/protocol/internal";
import { constants, createHash } from "node:crypto";
import { Socket } from "node:net";
import type { SecureContextOptions, TlsOptions, TLSSocket } from "node:tls";
import { openSecureContext } from "../../native/secure-context.ts";

/**
 * The options of a TLS port, with what suits WebSocket servers: no renegotiation, HTTP/1.1 by ALPN
 * (RFC 7301 §3.2: a client that only offers other protocols is told so), and a session context that
 * is the same in all processes whose options are. (Node's is made of the command line, so that
 * tickets of one process would be of no use in another, even with the same `ticketKeys`.) Throws
 * INVALID_ARGUMENT for keys and certificates that OpenSSL can't use.
 */
export function portOptions(tls: TlsOptions): TlsOptions {
  const options = {
    ALPNProtocols: ["http/1.1"],
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
 * The one of `sockets` that a TLS socket is on. Node keeps it in a property that is not public;
 * were that gone, the addresses would tell, but not on a Unix socket, where nobody has any.
 */
export function socketBelow(socket: TLSSocket, sockets: ReadonlyMap<Socket, unknown>): Socket | undefined {
  const below: unknown = Reflect.get(socket, "_parent");
  if (below instanceof Socket && sockets.has(below)) return below;
  const { remoteAddress, remotePort } = socket;
  return [...sockets.keys()].find((each) => each.remotePort === remotePort && each.remoteAddress === remoteAddress);
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
