import type { Http2SecureServer, Http2Server, Settings } from "node:http2";

/** A server of node:http2. Its classes have no public name. */
export type AnyHttp2Server = Http2Server | Http2SecureServer;

/** Whether a server speaks HTTP/2: only those of node:http2 have this method. */
export function isHttp2Server(server: object): server is AnyHttp2Server {
  return "updateSettings" in server && typeof server.updateSettings === "function";
}

/**
 * The options that a server of node:http2 was created with. It keeps them in a property whose key
 * is a symbol; without that property, none are known.
 */
function optionsOf(server: AnyHttp2Server): { readonly settings?: Settings; readonly allowHTTP1?: boolean } {
  const key = Object.getOwnPropertySymbols(server).find(({ description }) => description === "options");
  const options: unknown = key === undefined ? undefined : Reflect.get(server, key);
  return typeof options === "object" && options !== null ? options : {};
}

/** The settings that a server of node:http2 announces to new sessions. */
export function settingsOf(server: AnyHttp2Server): Settings {
  return optionsOf(server).settings ?? {};
}

/** Whether a server of node:http2 takes connections of HTTP/1.1, too. */
export function allowsHttp1(server: AnyHttp2Server): boolean {
  return optionsOf(server).allowHTTP1 === true;
}
