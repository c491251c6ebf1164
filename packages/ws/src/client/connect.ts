import { randomBytes } from "node:crypto";
import http, { type ClientRequest, type IncomingMessage } from "node:http";
import https from "node:https";
import process from "node:process";
import querystring from "node:querystring";
import type { Duplex } from "node:stream";
import { CLOSING, CONNECTING } from "../constants.ts";
import { PerMessageDeflate } from "../deflate/permessage-deflate.ts";
import { format } from "../handshake/extension.ts";
import { isToken } from "../handshake/tokens.ts";
import {
  type Address,
  type ClientOptions,
  connectSocket,
  connectTls,
  faultOf,
  parseAddress,
  type ResolvedOptions,
  resolveOptions,
} from "./options.ts";
import { guardRedirect } from "./redirect.ts";
import { checkResponse } from "./response.ts";
import type { ClientSocket } from "./socket.ts";

export type { ClientOptions, ResolvedOptions } from "./options.ts";

const ABORTED = Symbol("aborted");

/** Starts the handshake of a client. Throws for wrong arguments. Returns the options in use. */
export function connect(
  websocket: ClientSocket,
  address: string | URL,
  protocols: readonly string[],
  options: ClientOptions | undefined,
): ResolvedOptions {
  const resolved = resolveOptions(options);
  const target = parseAddress(address);
  websocket._url = target.url.href;
  const fault = faultOf(target);
  if (fault !== undefined) {
    if (websocket._redirects === 0) throw fault;
    emitErrorAndClose(websocket, fault);
    return resolved;
  }
  const key = randomBytes(16).toString("base64");
  const deflate = addHandshake(resolved, key, protocols);
  addAddress(resolved, target);
  const next = resolved.followRedirects ? guardRedirect(websocket, resolved, target, options) : options;
  const request = (target.isSecure ? https : http).request(resolved as https.RequestOptions);
  websocket._req = request;
  if (resolved.followRedirects && websocket._redirects > 0) websocket.emit("redirect", websocket.url, request);
  listen(websocket, request, resolved, {
    key,
    protocols,
    deflate,
    redirect: (location) => redirectTo(websocket, location, target.url, protocols, next),
  });
  if (resolved.finishRequest === undefined) request.end();
  else resolved.finishRequest(request, websocket as never);
  return resolved;
}

/**
 * Adds the fields of the handshake. Returns the offered extension, if any. Throws a SyntaxError for
 * wrong subprotocols.
 */
function addHandshake(
  options: ResolvedOptions,
  key: string,
  protocols: readonly string[],
): PerMessageDeflate | undefined {
  const headers: Record<string, unknown> = {
    ...options.headers,
    "Sec-WebSocket-Version": options.protocolVersion,
    "Sec-WebSocket-Key": key,
    Connection: "Upgrade",
    Upgrade: "websocket",
  };
  options.headers = headers;
  let deflate: PerMessageDeflate | undefined;
  if (options.perMessageDeflate) {
    const given = options.perMessageDeflate === true ? {} : options.perMessageDeflate;
    deflate = new PerMessageDeflate({ ...given, isServer: false, maxPayload: options.maxPayload });
    headers["Sec-WebSocket-Extensions"] = format({ [PerMessageDeflate.extensionName]: deflate.offer() });
  }
  if (protocols.length > 0) {
    const areTokens = protocols.every((name) => typeof name === "string" && isToken(name));
    if (!areTokens || new Set(protocols).size < protocols.length) {
      throw new SyntaxError("An invalid or duplicated subprotocol was specified");
    }
    headers["Sec-WebSocket-Protocol"] = protocols.join(",");
  }
  if (options.origin) {
    headers[options.protocolVersion < 13 ? "Sec-WebSocket-Origin" : "Origin"] = options.origin;
  }
  return deflate;
}

/** Sets the address of the request. */
function addAddress(options: ResolvedOptions, { url, isSecure, isIpc }: Address): void {
  const defaultPort = isSecure ? 443 : 80;
  const connect = isSecure ? connectTls : connectSocket;
  options.createConnection ||= connect as unknown as NonNullable<ResolvedOptions["createConnection"]>;
  options.defaultPort ||= defaultPort;
  options.port = url.port || defaultPort;
  options.host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
  options.path = url.pathname + url.search;
  options.timeout = options.handshakeTimeout;
  if (url.username !== "" || url.password !== "") {
    options.auth = `${querystring.unescape(url.username)}:${querystring.unescape(url.password)}`;
  }
  if (!isIpc) return;
  // ws+unix:/path/of/the/socket:/path/of/the/request
  const colon = options.path.indexOf(":");
  options.socketPath = colon === -1 ? options.path : options.path.slice(0, colon);
  options.path = colon === -1 ? "" : options.path.slice(colon + 1);
}

/** The values that the response must match. */
interface Offer {
  readonly key: string;
  readonly protocols: readonly string[];
  readonly deflate: PerMessageDeflate | undefined;
  redirect(location: string): void;
}

function listen(websocket: ClientSocket, request: ClientRequest, options: ResolvedOptions, offer: Offer): void {
  let isDone = false;
  if (options.timeout) {
    request.on("timeout", () => abortHandshake(websocket, request, "Opening handshake has timed out"));
  }
  request.on("error", (error) => {
    if (isDone || Reflect.get(request, ABORTED) === true) return;
    isDone = true;
    websocket._req = null;
    emitErrorAndClose(websocket, error);
  });
  request.on("response", (response) => {
    const { location } = response.headers;
    const { statusCode = 0 } = response;
    if (location !== undefined && location !== "" && options.followRedirects && statusCode >= 300 && statusCode < 400) {
      if (++websocket._redirects > options.maxRedirects) {
        abortHandshake(websocket, request, "Maximum redirects exceeded");
        return;
      }
      Reflect.set(request, ABORTED, true);
      request.destroy();
      offer.redirect(location);
    } else if (!websocket.emit("unexpected-response", request, response)) {
      abortHandshake(websocket, request, `Unexpected server response: ${statusCode}`);
    }
  });
  request.on("upgrade", (response, socket, head) => {
    websocket.emit("upgrade", response);
    // a listener may have closed it
    if (websocket.readyState !== CONNECTING) return;
    isDone = true;
    websocket._req = null;
    open(websocket, response, socket, head, options, offer);
  });
}

function open(
  websocket: ClientSocket,
  response: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  options: ResolvedOptions,
  offer: Offer,
): void {
  const checked = checkResponse(response, offer);
  if (typeof checked === "string") {
    abortHandshake(websocket, socket, checked);
    return;
  }
  websocket._protocol = checked.protocol;
  if (checked.extension !== undefined) {
    websocket._extensions = { [PerMessageDeflate.extensionName]: checked.extension };
  }
  const { allowSynchronousEvents, generateMask, maxBufferedChunks, maxFragments, maxPayload } = options;
  const { skipUTF8Validation, tungstate } = options;
  websocket.setSocket(socket, head, {
    allowSynchronousEvents,
    generateMask,
    maxBufferedChunks,
    maxFragments,
    maxPayload,
    skipUTF8Validation,
    tungstate,
  });
}

function redirectTo(
  websocket: ClientSocket,
  location: string,
  base: URL,
  protocols: readonly string[],
  options: ClientOptions | undefined,
): void {
  let address: URL;
  try {
    address = new URL(location, base);
  } catch {
    emitErrorAndClose(websocket, new SyntaxError(`Invalid URL: ${location}`));
    return;
  }
  connect(websocket, address, protocols, options);
}

function emitErrorAndClose(websocket: ClientSocket, error: Error): void {
  websocket._readyState = CLOSING;
  websocket._errorEmitted = true;
  websocket.emit("error", error);
  websocket.emitClose();
}

function isRequest(stream: ClientRequest | Duplex): stream is ClientRequest {
  return "setHeader" in stream;
}

/** Ends a handshake with an error. */
export function abortHandshake(websocket: ClientSocket, stream: ClientRequest | Duplex | null, message: string): void {
  websocket._readyState = CLOSING;
  const error = new Error(message);
  Error.captureStackTrace(error, abortHandshake);
  if (stream === null) return;
  if (isRequest(stream)) {
    Reflect.set(stream, ABORTED, true);
    stream.destroy();
    // a request that is complete does not destroy its socket
    if (stream.socket && !stream.socket.destroyed) stream.socket.destroy();
    process.nextTick(emitErrorAndClose, websocket, error);
  } else {
    stream.destroy(error);
    stream.once("error", (failure) => websocket.emit("error", failure));
    stream.once("close", () => websocket.emitClose());
  }
}
