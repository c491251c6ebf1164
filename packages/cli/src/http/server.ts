import { createServer, type RequestListener, type Server as HttpServer } from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import type { Certificate } from "../tls/certificate.ts";
import { type TicketKeys, tlsOptions } from "../tls/server-options.ts";
import { paceRequests } from "./paced-requests.ts";

/** Time limits of a request in ms. Node's defaults are 60,000, 300,000 and 30,000. */
const TIMEOUTS = { headersTimeout: 10_000, requestTimeout: 60_000, connectionsCheckingInterval: 1_000 };

/**
 * Creates a node:http or node:https server with time limits for requests and fair processing of
 * pipelined ones.
 */
export function createPacedServer(
  listener: RequestListener,
  certificate: Certificate | undefined,
  ticketKeys: TicketKeys | undefined,
): HttpServer | HttpsServer {
  const server =
    certificate === undefined
      ? createServer(TIMEOUTS, listener)
      : createHttpsServer({ ...TIMEOUTS, ...tlsOptions(certificate, ticketKeys) }, listener);
  // `100 Continue` is sent when the body is read
  server.on("checkContinue", (request, response) => server.emit("request", request, response));
  paceRequests(server);
  return server;
}
