import type { AdapterOptions, Hooks, PeerContext } from "crossws";
import type { Refusal } from "@tungstate/protocol";
import type { Grant } from "../../server/admission/decision.ts";
import type { HandshakeRequest } from "../../server/admission/request.ts";
import type { Accepted } from "./peer.ts";

/** A request as the upgrade hook gets it. */
export type UpgradeRequest = Request & { readonly context: PeerContext };

/** The result of an upgrade hook. `handled`: the hook has taken the socket. */
export type Upgraded =
  | { readonly decision: Grant; readonly accepted: Accepted }
  | { readonly decision: Refusal }
  | { readonly handled: true };

/**
 * The hooks of an adapter: those of its options, and those that `resolve` returns for a request.
 */
export class AdapterHooks {
  readonly #options: AdapterOptions;
  readonly #resolved = new WeakMap<object, Promise<Partial<Hooks> | undefined>>();

  constructor(options: AdapterOptions) {
    this.#options = options;
  }

  /** Whether there may be a hook of this name. */
  has(name: keyof Hooks): boolean {
    return this.#options.hooks?.[name] !== undefined || this.#options.resolve !== undefined;
  }

  /**
   * Calls the hooks of a connection, and returns what the one of `resolve` returns, or else the
   * other. `key`: its context, the same for all calls.
   */
  call<N extends keyof Hooks>(name: N, key: PeerContext, request: Request, ...args: Parameters<Hooks[N]>): unknown {
    type Hook = (...args: Parameters<Hooks[N]>) => unknown;
    const first = (this.#options.hooks?.[name] as Hook | undefined)?.(...args);
    if (this.#options.resolve === undefined) return first;
    return this.#resolve(key, request).then(async (hooks) => {
      const own = await first;
      return (await (hooks?.[name] as Hook | undefined)?.(...args)) ?? own;
    });
  }

  /** Resolves the hooks of a request once. */
  #resolve(key: PeerContext, request: Request): Promise<Partial<Hooks> | undefined> {
    const present = this.#resolved.get(key);
    if (present !== undefined) return present;
    const { resolve } = this.#options;
    const resolved = Promise.resolve().then(() => resolve?.(request as never) as Partial<Hooks> | undefined);
    this.#resolved.set(key, resolved);
    return resolved;
  }

  /** Runs the upgrade hook. Rejects with what it throws, unless that is a Response. */
  async upgrade(request: UpgradeRequest): Promise<Upgraded> {
    const { context } = request;
    let result: Exclude<Awaited<ReturnType<Hooks["upgrade"]>>, void> | undefined;
    try {
      result = (await this.call("upgrade", context, request, request)) as typeof result;
    } catch (error) {
      const response: unknown = error instanceof Response ? error : Reflect.get(Object(error), "response");
      if (!(response instanceof Response)) throw error;
      result = response;
    }
    if (result instanceof Response) return { decision: await refusalOf(result) };
    if (result?.handled === true) return { handled: true };
    Object.assign(context, result?.context);
    const headers = new Headers(result?.headers);
    const named = result?.protocol ?? headers.get("sec-websocket-protocol") ?? (await this.#chooseProtocol(request));
    headers.delete("sec-websocket-protocol");
    const namespace = result?.namespace ?? this.#options.getNamespace?.(request) ?? new URL(request.url).pathname;
    return {
      decision: { headers: [...headers], ...(named ? { protocol: named } : {}) },
      accepted: { request, namespace, context },
    };
  }

  async #chooseProtocol(request: Request): Promise<string | undefined> {
    const offered = (request.headers.get("sec-websocket-protocol") ?? "").split(",").map((each) => each.trim());
    const names = new Set(offered.filter((each) => each !== ""));
    if (names.size === 0) return undefined;
    return (await this.#options.handleProtocols?.(names, request)) || undefined;
  }
}

/** Returns the refusal for a response of a hook. */
async function refusalOf(response: Response): Promise<Refusal> {
  // a handshake can be refused with an error or a redirect only
  const status = response.status >= 300 && response.status !== 304 ? response.status : 403;
  const headers = [...response.headers].filter(([name]) => !FRAMING.has(name));
  return { status, headers, body: new Uint8Array(await response.arrayBuffer()) };
}

const FRAMING: ReadonlySet<string> = new Set(["connection", "content-length", "transfer-encoding"]);

/** Returns the request of a handshake as a Request with a context. */
export function requestOf({ encrypted, host, target, headers }: HandshakeRequest): UpgradeRequest {
  const fields = [...headers].map(([name, value]): [string, string] => [name, value]);
  const request = new Request(`${encrypted ? "https" : "http"}://${host}${target}`, { headers: fields });
  return Object.assign(request, { context: {} });
}

/** Returns a request that a framework has made, with a context. */
export function withContext(request: Request): UpgradeRequest {
  if (Reflect.get(request, "context") === undefined) Object.assign(request, { context: {} });
  return request as UpgradeRequest;
}

/**
 * Whether a hook can take the socket of the request: a framework gives it to the hook in
 * `request.runtime`.
 */
export function mayBeHandled(request: Request | undefined): boolean {
  const { runtime } = Object(request) as { readonly runtime?: { readonly node?: { readonly upgrade?: unknown } } };
  return runtime?.node?.upgrade !== undefined;
}
