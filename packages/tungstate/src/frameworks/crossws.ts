import type { Heartbeat } from "@tungstate/protocol";
import type { AdapterInstance, AdapterOptions, Hooks } from "crossws";
import type { IncomingMessage, Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { AddressInfo, ListenOptions } from "node:net";
import type { Duplex } from "node:stream";
import type { WebSocketConnection } from "../connection/types.ts";
import { checkNames, type OptionNames } from "../options/names.ts";
import { invalid } from "../options/check.ts";
import type { Decision } from "../server/admission/decision.ts";
import type { HandshakeRequest } from "../server/admission/request.ts";
import type { ServerListenOptions, WebSocketServerOptions } from "../server/options.ts";
import { WebSocketServer } from "../server/server.ts";
import { AdapterHooks, mayBeHandled, requestOf, type Upgraded, withContext } from "./crossws/hooks.ts";
import { messageFor } from "./crossws/message.ts";
import { asPeer, Namespaces } from "./crossws/namespaces.ts";
import { type Accepted, TungstatePeer } from "./crossws/peer.ts";

/** Options of the adapter: those of every crossws adapter, and those of the server. */
export interface CrosswsOptions extends AdapterOptions {
  /**
   * Options of the WebSocketServer. The hook `upgrade` and `handleProtocols` take the place of
   * `authorize` and `protocols`.
   */
  readonly serverOptions?: Omit<WebSocketServerOptions, "authorize" | "protocols">;
}

/** An adapter of crossws. */
export interface CrosswsAdapter extends AdapterInstance, AsyncDisposable {
  /** The server. Its events report refused requests and errors of hooks. */
  readonly server: WebSocketServer;
  /**
   * Answers an upgrade request of node:http. `request`: the same as a Request, where a framework
   * has made one.
   */
  handleUpgrade(message: IncomingMessage, socket: Duplex, head: Uint8Array, request?: Request): Promise<void>;
  /** Takes the upgrade requests of a node:http or node:https server. */
  attach(server: HttpServer | HttpsServer): void;
  /** Listens on a port of its own: see `listen` of WebSocketServer. */
  listen(options?: ListenOptions & ServerListenOptions): Promise<AddressInfo | string>;
  /** Closes all connections, or destroys them if `force` is true. */
  closeAll(code?: number, reason?: string | Uint8Array, force?: boolean): void;
}

const OPTIONS: OptionNames<CrosswsOptions> = {
  resolve: true,
  getNamespace: true,
  hooks: true,
  handleProtocols: true,
  sync: true,
  onError: true,
  idleTimeout: true,
  serverOptions: true,
};

const HOOKS: readonly (keyof Hooks)[] = ["upgrade", "open", "message", "ping", "pong", "drain", "close", "error"];

const DEFAULT_IDLE_TIMEOUT = 30; // seconds, as of all crossws adapters

/** Throws INVALID_ARGUMENT if a member is something else than a function. `prefix`: of its name. */
function checkFunctions(prefix: string, of: object, names: readonly string[]): void {
  for (const name of names) {
    const value: unknown = Reflect.get(of, name);
    if (value !== undefined && typeof value !== "function") invalid(`${prefix}${name}`, "a function", value);
  }
}

/**
 * Returns an adapter of crossws on a WebSocketServer, for Nitro, h3, Hocuspocus and other programs
 * that take one. Throws INVALID_ARGUMENT.
 */
export function crossws(options: CrosswsOptions = {}): CrosswsAdapter {
  checkNames(options, OPTIONS);
  checkFunctions("", options, ["resolve", "getNamespace", "handleProtocols", "onError"]);
  const hooksGiven: unknown = options.hooks === undefined ? {} : options.hooks;
  if (typeof hooksGiven !== "object" || hooksGiven === null) invalid("hooks", "an object of functions", hooksGiven);
  checkFunctions("hooks.", hooksGiven, HOOKS);
  const hooks = new AdapterHooks(options);
  const namespaces = new Namespaces(options);
  /** What frameworks gave with a request, and what its upgrade hook has decided. */
  const given = new WeakMap<IncomingMessage, { readonly request: Request; readonly upgraded?: Promise<Upgraded> }>();

  const authorize = async (handshake: HandshakeRequest): Promise<Decision> => {
    const known = handshake.raw === undefined ? undefined : given.get(handshake.raw);
    const request = known === undefined ? requestOf(handshake) : withContext(known.request);
    const upgraded = await (known?.upgraded ?? hooks.upgrade(request));
    if ("handled" in upgraded) throw new TypeError("a hook may return handled only for requests of handleUpgrade()");
    if ("accepted" in upgraded) handshake.data = upgraded.accepted;
    return upgraded.decision;
  };
  const { serverOptions = {} } = options;
  for (const [name, instead] of Object.entries({ authorize: "the hook upgrade", protocols: "handleProtocols" })) {
    if (Object.hasOwn(serverOptions, name)) invalid(`serverOptions.${name}`, `left out: use ${instead}`, "a value");
  }
  const server = new WebSocketServer({ heartbeat: heartbeatOf(options), ...serverOptions, authorize });
  server.on("connection", (connection, { data }) => open(connection, data as Accepted, hooks, namespaces));

  const closeAll = (code?: number, reason?: string | Uint8Array, force = false): void => {
    const text = typeof reason === "string" ? reason : new TextDecoder().decode(reason);
    for (const connection of server.connections) {
      if (force) connection.terminate();
      else void connection.close(code, text);
    }
  };
  const close = async (code?: number, reason?: string): Promise<void> => {
    await server.close(code, reason);
    await namespaces.sync?.close?.();
  };
  return {
    server,
    peers: namespaces.all,
    ...(namespaces.sync === undefined ? {} : { sync: namespaces.sync }),
    publish: (topic, data, publishing) => namespaces.publish(topic, data, publishing),
    async handleUpgrade(message, socket, head, request) {
      if (request !== undefined) {
        const upgraded = mayBeHandled(request) ? hooks.upgrade(withContext(request)) : undefined;
        given.set(message, { request, ...(upgraded === undefined ? {} : { upgraded }) });
        const result = await upgraded?.catch(() => undefined); // `authorize` gets the error
        if (result !== undefined && "handled" in result) return;
      }
      await server.handleUpgrade(message, socket, head);
    },
    attach: (http) => void server.attach(http),
    listen: (where) => server.listen(where),
    closeAll,
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

/**
 * Returns the heartbeat for `idleTimeout`: a ping after half of it, and the other half to answer.
 */
function heartbeatOf({ idleTimeout = DEFAULT_IDLE_TIMEOUT }: CrosswsOptions): Heartbeat | false {
  if (typeof idleTimeout !== "number" || !(idleTimeout >= 0 && idleTimeout <= MAX_IDLE_TIMEOUT)) {
    invalid("idleTimeout", `a number from 0 to ${MAX_IDLE_TIMEOUT} (s)`, idleTimeout);
  }
  const half = Math.max(1, Math.round(idleTimeout * 500));
  return idleTimeout === 0 ? false : { interval: half, timeout: half };
}

const MAX_IDLE_TIMEOUT = 2_000_000; // seconds

/** Calls the hooks for the events of a connection. */
function open(
  connection: WebSocketConnection,
  accepted: Accepted,
  hooks: AdapterHooks,
  namespaces: Namespaces,
): unknown {
  const peer = new TungstatePeer(connection, accepted, namespaces);
  const { request, context } = accepted;
  namespaces.add(peer);
  const call = <N extends keyof Hooks>(name: N, ...args: Parameters<Hooks[N]>): unknown =>
    hooks.call(name, context, request, ...args);
  const given = asPeer(peer);
  if (hooks.has("message")) connection.on("message", (message) => call("message", given, messageFor(message, peer)));
  else connection.on("message", () => undefined); // messages are read and dropped
  if (hooks.has("ping")) connection.on("ping", (data) => call("ping", given, data));
  if (hooks.has("pong")) connection.on("pong", (data) => call("pong", given, data));
  if (hooks.has("drain")) connection.on("drain", () => call("drain", given));
  connection.on("error", (error) => call("error", given, error));
  connection.on("close", ({ code, reason }) => {
    namespaces.delete(peer);
    return call("close", given, { code, reason });
  });
  return call("open", given);
}
