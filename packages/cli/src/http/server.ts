import { createServer, type RequestListener, type Server as HttpServer } from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import type { Certificate } from "../certificate.ts";
import { type TicketKeys, tlsOptions } from "../tls-options.ts";
import { paceRequests } from "./paced-requests.ts";

/** What a request may take, ms. Node's defaults are a minute for a head, five for a request, and half a minute between two looks. */
const TIMES = { headersTimeout: 10_000, requestTimeout: 60_000, connectionsCheckingInterval: 1_000 };

/** A server of node:http or node:https whose requests have deadlines, and take turns. */
export function createPacedServer(
  listener: RequestListener,
  certificate: Certificate | undefined,
  ticketKeys: TicketKeys | undefined,
): HttpServer | HttpsServer {
  const server =
    certificate === undefined
      ? createServer(TIMES, listener)
      : // as node:http has it: a client that ends its side still gets its responses
        createHttpsServer({ ...TIMES, allowHalfOpen: true, ...tlsOptions(certificate, ticketKeys) }, listener);
  // leave to send a body is given by whoever reads it
  server.on("checkContinue", (request, response) => server.emit("request", request, response));
  paceRequests(server);
  return server;
}
