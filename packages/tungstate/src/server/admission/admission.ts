import type { Runtime } from "@tungstate/protocol";
import { argumentError, invalidOption } from "@tungstate/protocol/internal";
import {
  type Agreement,
  checkHeaders,
  chooseProtocol,
  type HeaderInput,
  type HeadLimits,
  type Refusal,
  RequestHeadParser,
  type ServerExtension,
  type ServerHandshakeOptions,
} from "@tungstate/protocol";
import { serverCompression } from "../../deflate/settings.ts";
import { sha1, sha1Base64 } from "../../native/primitives.ts";
import { type ConnectionSettings } from "../../connection/options.ts";
import { isThenable, whenKnown } from "../../schedule/thenable.ts";
import { type Decision, checkDecision } from "./decision.ts";
import { serverError } from "../errors.ts";
import { type AllowedHosts, HostPolicy } from "./hosts.ts";
import { mayConnect, type OriginPolicy, parseOrigin } from "./origin.ts";
import { failedByApplication, RefusedError } from "./refused.ts";
import type { OpeningRequest } from "../responder.ts";
import { Proxies, type TrustedProxies } from "./proxies.ts";
import { HandshakeRequest, type RequestOrigin } from "./request.ts";
import { HEAD_LIMIT_OPTIONS } from "../../options/head-limits.ts";
import type { OptionNames } from "../../options/names.ts";
import { time } from "../../options/check.ts";
import { describe } from "../../options/describe.ts";

/** Options of the server's handshake: which clients are admitted, and limits. */
export interface AdmissionOptions {
  /** The only path that is accepted; others get 404. Default: every path. */
  readonly path?: string;
  /**
   * Supported subprotocols in order of preference, or a function that returns one of the offered
   * ones or undefined. Any other return value, a promise included, fails the handshake with 500.
   * Default: none.
   */
  readonly protocols?:
    readonly string[] | ((offered: readonly string[], request: HandshakeRequest) => string | undefined);
  /** Origins whose pages may connect; others get 403. Default: "same". */
  readonly origin?: OriginPolicy;
  /**
   * Hosts that a request may name in Host; others get 421. Protects a server without authentication
   * from pages whose name resolves to its address (DNS rebinding). Default: "any".
   */
  readonly allowedHosts?: AllowedHosts;
  /**
   * Decides whether a valid request is accepted, after all other checks. Only `true` and a Grant,
   * or a promise of one, accept: see Decision. It may store its result in `request.data`. Default:
   * every valid request is accepted.
   */
  readonly authorize?: (request: HandshakeRequest) => Decision | PromiseLike<Decision>;
  /**
   * Proxies whose forwarding header is trusted: IP addresses, networks, or `loopback`, `linklocal`,
   * `uniquelocal`. See `HandshakeRequest.clientAddress`. Default none.
   */
  readonly trustProxy?: readonly string[] | TrustedProxies;
  /**
   * Time limit of a handshake in ms, including the time of `origin` and `authorize`. Default
   * 10,000.
   */
  readonly handshakeTimeout?: number;
  /** Limits of a request head: bytes and number of fields. */
  readonly handshakeLimits?: Partial<HeadLimits>;
}

export const ADMISSION_OPTIONS: OptionNames<AdmissionOptions> = {
  path: true,
  protocols: true,
  origin: true,
  allowedHosts: true,
  authorize: true,
  trustProxy: true,
  handshakeTimeout: true,
  handshakeLimits: { ...HEAD_LIMIT_OPTIONS },
};

const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/; // RFC 9110 §5.6.2

export interface Admitted {
  readonly request: HandshakeRequest;
  readonly accepted: Agreement;
}

/** Decides about well-formed requests. */
export class Admission {
  /** The only path that is accepted; undefined for every path. */
  readonly path: string | undefined;
  readonly timeout: number;
  readonly proxies: Proxies | undefined;
  private readonly hosts: HostPolicy | undefined;
  private readonly options: AdmissionOptions;
  /** Shared by all handshakes. */
  readonly handshake: ServerHandshakeOptions;

  constructor(options: AdmissionOptions, extensions: readonly ServerExtension[], runtime: Runtime) {
    const { path, origin, authorize, protocols } = options;
    checkPath(path);
    if (
      origin !== undefined &&
      origin !== "same" &&
      origin !== "any" &&
      typeof origin !== "function" &&
      !Array.isArray(origin)
    ) {
      throw invalidOption("origin", '"same", "any", a list or a function', origin, describe(origin));
    }
    for (const each of Array.isArray(origin) ? origin : []) {
      if (typeof each === "string" && parseOrigin(each) !== undefined) continue;
      throw invalidOption("each origin", 'an origin such as "https://example.com"', each, describe(each));
    }
    if (authorize !== undefined && typeof authorize !== "function") {
      throw invalidOption("authorize", "a function", authorize, describe(authorize));
    }
    if (protocols !== undefined && typeof protocols !== "function" && !Array.isArray(protocols)) {
      throw invalidOption("protocols", "a list or a function", protocols, describe(protocols));
    }
    for (const each of Array.isArray(protocols) ? protocols : []) {
      if (typeof each === "string" && TOKEN.test(each)) continue;
      throw invalidOption("each of protocols", "a token", each, describe(each));
    }
    // throws for an invalid limit now, not at the first connection
    new RequestHeadParser(options.handshakeLimits);
    this.path = path;
    this.timeout = time(options, "handshakeTimeout", 10_000);
    this.proxies = options.trustProxy === undefined ? undefined : new Proxies(options.trustProxy);
    this.handshake = { sha1, sha1Base64, extensions, limits: options.handshakeLimits, runtime };
    this.hosts = options.allowedHosts === undefined ? undefined : new HostPolicy(options.allowedHosts);
    this.options = options;
  }

  /**
   * Throws, or rejects with, a RefusedError. `signal` creates the signal that ends a wait for
   * `authorize`; it is called only if there is something to wait for.
   */
  admit(opening: OpeningRequest, from: RequestOrigin, signal: () => AbortSignal): Admitted | Promise<Admitted> {
    const { path } = this;
    const { origin = "same", authorize } = this.options;
    const request = new HandshakeRequest(opening, from, this.proxies, authorize === undefined ? undefined : signal());
    from.enter?.(request);
    if (this.hosts?.allows(opening.host) === false) throw new RefusedError(serverError("HOST_REFUSED"));
    if (path !== undefined && request.path !== path) throw new RefusedError(serverError("PATH_NOT_FOUND"));
    try {
      const allowed = mayConnect(origin, opening, from.encrypted);
      // most requests: there is nothing to wait for
      if (allowed === true && authorize === undefined) return this.agree(opening, request, from, true);
      const admitted = whenKnown(allowed, (may) => {
        if (may !== true)
          throw refused("ORIGIN_REFUSED", may === false ? undefined : `${ORIGIN_EXPECTED}, got ${describe(may)}`);
        if (authorize === undefined) return this.agree(opening, request, from, true);
        return whenKnown(authorize(request), (decision) => this.agree(opening, request, from, decision));
      });
      return admitted instanceof Promise ? admitted.catch(refuse) : admitted;
    } catch (error) {
      return refuse(error);
    }
  }

  private agree(
    opening: OpeningRequest,
    request: HandshakeRequest,
    { responder, headers: given }: RequestOrigin,
    decision: unknown,
  ): Admitted {
    const judgement = checkDecision(decision);
    if (!judgement.admits) throw refused("NOT_AUTHORIZED", judgement.detail, judgement.refusal);
    const { grant } = judgement;
    const protocol = grant.protocol ?? this.choose(request);
    const headers = given === undefined ? grant.headers : [...checkResponse(given), ...checkHeaders(grant.headers)];
    return { request, accepted: responder.agree(opening, this.handshake, { protocol, headers }) };
  }

  private choose(request: HandshakeRequest): string | undefined {
    const { protocols } = this.options;
    if (protocols === undefined) return undefined;
    if (typeof protocols !== "function") return chooseProtocol(request.protocols, protocols);
    const chosen: unknown = protocols(request.protocols, request);
    if (chosen === undefined || typeof chosen === "string") return chosen;
    // rejected in any case, with its error
    if (isThenable(chosen)) Promise.resolve(chosen).catch(() => undefined);
    throw argumentError(
      TypeError,
      `the protocols function must return a subprotocol that the client offered, or undefined, got ${describe(chosen)}`,
    );
  }
}

const ORIGIN_EXPECTED = "the origin function must return true or false";

/** `detail` describes an invalid result of a hook, for the application and not for the client. */
function refused(
  code: "ORIGIN_REFUSED" | "NOT_AUTHORIZED",
  detail: string | undefined,
  refusal?: Refusal,
): RefusedError {
  const { status = 403, message } = serverError(code);
  return new RefusedError(serverError(code, detail), refusal ?? { status, body: `${message}\n` });
}

/**
 * Checks the header fields of a framework's response. Throws a RefusedError for fields that cannot
 * be sent.
 */
function checkResponse(headers: HeaderInput): ReturnType<typeof checkHeaders> {
  try {
    return checkHeaders(headers, "the response's headers");
  } catch (error) {
    throw failedByApplication("RESPONSE_FAILED", error);
  }
}

/** A hook threw, or returned something that cannot be sent. */
function refuse(error: unknown): never {
  throw error instanceof RefusedError ? error : failedByApplication("AUTHORIZE_FAILED", error);
}

export function checkPath(path: unknown): void {
  if (path === undefined || (typeof path === "string" && path.startsWith("/"))) return;
  throw argumentError(TypeError, `path must begin with a slash, got ${describe(path)}`);
}

/** Returns the extensions that a server with these settings negotiates. */
export function extensionsOf(settings: ConnectionSettings): readonly ServerExtension[] {
  return settings.deflate === undefined ? [] : [serverCompression(settings.deflate.compression)];
}
