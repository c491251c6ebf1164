import type { ErrorEntry, ErrorMaker } from "@tungstate/protocol";
import { errorMaker } from "@tungstate/protocol/internal";

/** Why a server refused a well-formed handshake. */
export const SERVER_ERRORS = {
  ORIGIN_REFUSED: { fault: "peer", status: 403, text: "this origin may not connect" },
  HOST_REFUSED: { fault: "peer", status: 421, text: "this server does not serve the host of the request" },
  NOT_AUTHORIZED: { fault: "peer", status: 403, text: "not authorized" },
  PATH_NOT_FOUND: { fault: "peer", status: 404, text: "no WebSocket server at this path" },
  SERVER_FULL: { fault: "local", status: 503, text: "the server has reached maxConnections or maxHandshakes" },
  SERVER_OVERLOADED: { fault: "local", status: 503, text: "more than three quarters of memoryBudget are in use" },
  TOO_MANY_FROM_ADDRESS: { fault: "peer", status: 429, text: "this address has reached maxConnectionsPerAddress" },
  SERVER_CLOSING: { fault: "local", status: 503, text: "the server is closing" },
  ACCEPT_TIMEOUT: { fault: "peer", status: 408, text: "the handshake took too long" },
  AUTHORIZE_TIMEOUT: { fault: "local", status: 503, text: "the authorization took too long" },
  AUTHORIZE_FAILED: { fault: "local", status: 500, text: "the authorization failed" },
  RESPONSE_FAILED: { fault: "local", status: 500, text: "the response to the handshake cannot be sent" },
  TLS_HANDSHAKE_FAILED: { fault: "peer", text: "the TLS handshake failed" },
  REQUEST_LOST: { fault: "peer", text: "the client went away during the handshake" },
} as const satisfies Record<string, ErrorEntry>;

export type ServerErrorCode = keyof typeof SERVER_ERRORS;

/** Returns the error for a row of SERVER_ERRORS. */
export const serverError: ErrorMaker<ServerErrorCode> = /* @__PURE__ */ errorMaker(SERVER_ERRORS);
