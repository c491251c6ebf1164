import { constants } from "node:crypto";
import type { ServerOptions } from "node:https";
import type { Certificate } from "./certificate.ts";

/** What session tickets are made with: the same in all processes that serve one port, so that each takes those of the others. */
export type TicketKeys = Buffer;

export const TICKET_KEYS_BYTES = 48; // node:tls, ticketKeys
const HANDSHAKE_TIMEOUT = 10_000; // ms; Node's own default is two minutes

export function tlsOptions({ cert, key }: Certificate, ticketKeys: TicketKeys | undefined): ServerOptions {
  return {
    cert,
    key,
    handshakeTimeout: HANDSHAKE_TIMEOUT,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    // Node's own is made of the command line, and tickets are of no use under another one
    sessionIdContext: "tungstate serve",
    ...(ticketKeys === undefined ? {} : { ticketKeys }),
  };
}
