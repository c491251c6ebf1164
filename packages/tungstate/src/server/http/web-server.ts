import { Server as HttpServer } from "node:http";
import { Server as HttpsServer } from "node:https";
import { Server as TlsServer } from "node:tls";
import { allowsHttp1, type AnyHttp2Server, isHttp2Server } from "../../native/http2-options.ts";

/** A server of node:http, node:https or node:http2. */
export type WebServer = HttpServer | HttpsServer | AnyHttp2Server;

/** Whether an object is a server of node:http, node:https or node:http2. */
export function isWebServer(server: object): server is WebServer {
  return server instanceof HttpServer || server instanceof HttpsServer || isHttp2Server(server);
}

/** Whether a server takes connections of HTTP/1.1. */
export function speaksHttp1(server: WebServer): boolean {
  return !isHttp2Server(server) || allowsHttp1(server);
}

/** Returns the event on which a server starts to read a connection. */
export function connectionEvent(server: WebServer): "connection" | "secureConnection" {
  return server instanceof HttpsServer || server instanceof TlsServer ? "secureConnection" : "connection";
}
