import { IncomingMessage, Server as HttpServer } from "node:http";
import { Socket } from "node:net";
import { isHttp2Server } from "../../native/http2-options.ts";
import type { WebServer } from "./web-server.ts";

/** Returns whether a request for an upgrade becomes an `upgrade` event. */
type Choice = (request: IncomingMessage) => boolean;

/**
 * Makes a server emit `upgrade` only for the requests that `wanted` returns true for; all others
 * are what they would be without our `upgrade` listener: ordinary requests, or upgrades where the
 * server has other listeners. (node:http emits `upgrade` for every request for an upgrade, whatever
 * the protocol, as soon as there is one listener.) The function returned ends that. Undefined, and
 * nothing changed, where this version of Node has no way to do it.
 */
export function chooseUpgrades(server: WebServer, wanted: Choice): (() => void) | undefined {
  let active = true;
  const others: ListenerCount = (event) => server.listenerCount(event) - (active && event === "upgrade" ? 1 : 0);
  const whileActive: Choice = (request) => active && wanted(request);
  const restore = chooseByCallback(server, whileActive, others) ?? chooseByRequest(server, whileActive, others);
  if (restore === undefined) return undefined;
  return () => {
    active = false; // other code may have wrapped it
    restore();
  };
}

/** Counts the listeners of an event as the server would without our one for `upgrade`. */
type ListenerCount = (event: string) => number;

/**
 * By the server option `shouldUpgradeCallback`, which the server keeps in a property of that name:
 * Node 22.21, 24.9 and later.
 */
function chooseByCallback(server: WebServer, wanted: Choice, others: ListenerCount): (() => void) | undefined {
  const before: unknown = Reflect.get(server, "shouldUpgradeCallback");
  if (typeof before !== "function") return undefined;
  // without the option it asks its server whether there are listeners
  const withoutOurs: unknown = Object.create(server, { listenerCount: { value: others } });
  const choice: Choice = (request) => wanted(request) || Boolean(Reflect.apply(before, withoutOurs, [request]));
  return replace(server, "shouldUpgradeCallback", choice);
}

/**
 * By the class that the server makes its requests of, which has no public name on a server that
 * exists (its option is `IncomingMessage`). node:http sets `upgrade` of a request once its head is
 * read; its next step depends on what it then reads there.
 */
function chooseByRequest(server: WebServer, wanted: Choice, others: ListenerCount): (() => void) | undefined {
  const choice: Choice = (request) => wanted(request) || others("upgrade") > 0;
  if (isHttp2Server(server)) return chooseByAssignment(server, choice);
  const key = keyOfRequestClass(server);
  const before: unknown = key === undefined ? undefined : Reflect.get(server, key);
  if (key === undefined || !isRequestClass(before)) return undefined;
  const choosing = choosingClass(before, choice);
  return choosing === undefined ? undefined : replace(server, key, choosing);
}

function keyOfRequestClass(server: WebServer): symbol | undefined {
  return Object.getOwnPropertySymbols(server).find(({ description }) => description === "IncomingMessage");
}

/**
 * As `chooseByRequest` for a server of node:http2, which sets the class anew for each connection of
 * HTTP/1.1.
 */
function chooseByAssignment(server: WebServer, choice: Choice): (() => void) | undefined {
  const key = keyOfRequestClass(new HttpServer());
  let given: RequestClass = IncomingMessage;
  let choosing = choosingClass(given, choice);
  if (key === undefined || choosing === undefined) return undefined;
  const assign = (value: unknown): void => {
    if (!isRequestClass(value) || value === given) return;
    given = value;
    choosing = choosingClass(value, choice) ?? value;
  };
  assign(Reflect.get(server, key));
  Object.defineProperty(server, key, { configurable: true, get: () => choosing, set: assign });
  return () => Object.defineProperty(server, key, { value: given, writable: true });
}

type RequestClass = new (socket: Socket) => IncomingMessage;

function isRequestClass(value: unknown): value is RequestClass {
  return typeof value === "function" && (value === IncomingMessage || value.prototype instanceof IncomingMessage);
}

const asks = Symbol("asks for an upgrade");

/**
 * The same class, whose objects say that they are for an upgrade only if `choice` agrees. Undefined
 * if a trial shows that they would not.
 */
function choosingClass(base: RequestClass, choice: Choice): RequestClass | undefined {
  class ChoosingRequest extends base {
    declare [asks]: boolean | undefined;

    get upgrade(): boolean | null {
      if (this[asks] !== true) return null;
      // CONNECT takes the same path, but is not for an upgrade
      return settle(this, this.method === "CONNECT" || choice(this));
    }

    set upgrade(value: boolean | null) {
      if (value === true) this[asks] = true;
      else if (value === false) settle(this, false);
    }
  }
  Object.defineProperty(ChoosingRequest, "name", { value: base.name });
  const trial = new ChoosingRequest(new Socket());
  return Object.hasOwn(trial, "upgrade") ? undefined : ChoosingRequest;
}

/**
 * From here on `upgrade` is a property like any other, also for a framework that gives the request
 * another prototype.
 */
function settle(request: IncomingMessage, value: boolean): boolean {
  Object.defineProperty(request, "upgrade", { value, writable: true, enumerable: true, configurable: true });
  return value;
}

/** Sets a property; returns a function that restores it, unless other code has set it meanwhile. */
function replace(server: WebServer, key: PropertyKey, value: unknown): () => void {
  const own = Object.getOwnPropertyDescriptor(server, key);
  Reflect.set(server, key, value);
  return () => {
    if (Reflect.get(server, key) !== value) return;
    if (own === undefined) Reflect.deleteProperty(server, key);
    else Object.defineProperty(server, key, own);
  };
}
