import { constants } from "node:crypto";
import type { ServerOptions } from "node:https";
import type { Certificate } from "./certificate.ts";

/**
 * Keys for session tickets. Processes that serve the same port share them, so that each accepts the
 * tickets of the others.
 */
export type TicketKeys = Buffer;

export const TICKET_KEYS_BYTES = 48; // node:tls, ticketKeys
const HANDSHAKE_TIMEOUT = 10_000; // ms; Node's default is 120,000

export function tlsOptions({ cert, key }: Certificate, ticketKeys: TicketKeys | undefined): ServerOptions {
  return {
    cert,
    key,
    allowHalfOpen: true, // as in node:http: a client that ends its side still receives its responses
    handshakeTimeout: HANDSHAKE_TIMEOUT,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    // Node's default depends on the command line, and a ticket is only valid for its ID context
    sessionIdContext: "tungstate serve",
    ...(ticketKeys === undefined ? {} : { ticketKeys }),
  };
}
