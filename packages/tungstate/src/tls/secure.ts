import { argumentError } from "@tungstate/protocol/internal";
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect as tlsConnect, type PeerCertificate, type TLSSocket } from "node:tls";
import { abortable } from "../schedule/abortable.ts";
import { linkedController } from "../schedule/linked-controller.ts";
import { withoutScope } from "../transport/ip.ts";
import { abortedError, type ConnectError, connectError, type Tried } from "../errors.ts";
import { MAX_TIME } from "../options/time.ts";
import { contextFor } from "./contexts.ts";
import { tlsFailure } from "./failures.ts";
import { identityOf } from "./identity.ts";
import { checkTlsOptions, isPinned, pinOf, TLS_OPTIONS, type TlsOptions } from "./options.ts";
import { checkIpv6Identity } from "./server-identity.ts";
import { type KeptSession, type Sessions, sessionsOf, sharedTlsSessions } from "./session-cache.ts";
import { type OptionNames, checkNames } from "../options/names.ts";
import { checkInteger } from "../options/check.ts";
import type { TlsInfo } from "../transport/tls-info.ts";

/** Options of `secure`. */
export interface SecureOptions extends TlsOptions {
  /** Host of the URL. The certificate must be valid for it, unless `servername` is given. */
  readonly host: string;
  /** Port of the URL. It only distinguishes the sessions of one host. */
  readonly port?: number | undefined;
  /** Time limit of the handshake in ms. 0: no limit. Default 10,000. */
  readonly timeout?: number | undefined;
  /** Aborts the handshake, which then rejects with ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

const SECURE_OPTIONS: OptionNames<SecureOptions> = {
  ...TLS_OPTIONS,
  host: true,
  port: true,
  timeout: true,
  signal: true,
};

/** Result of `secure`. */
export interface Secured {
  /** The encrypted stream. */
  readonly stream: TLSSocket;
  /** What the handshake agreed on. */
  readonly info: TlsInfo;
}

const DEFAULT_TLS_TIMEOUT_MS = 10_000;

const ignore = (): void => undefined;

/**
 * Runs TLS as a client over a byte stream. Rejects with a ConnectError, and with INVALID_ARGUMENT
 * for wrong options; the stream is destroyed then.
 */
export async function secure(stream: Duplex, options: SecureOptions): Promise<Secured> {
  try {
    checkNames(options, SECURE_OPTIONS);
  } catch (error) {
    stream.destroy();
    throw error;
  }
  return await secureOver(stream, options);
}

/**
 * As `secure`; `way` adds to what errors report as tried. `protocols`: offered by ALPN instead of
 * `alpnProtocols`, and each is accepted.
 */
export async function secureOver(
  stream: Duplex,
  options: SecureOptions,
  way?: Tried,
  protocols?: readonly string[],
): Promise<Secured> {
  const milliseconds = options.timeout ?? DEFAULT_TLS_TIMEOUT_MS;
  const host = typeof options.host === "string" ? options.host.replace(/^\[(.*)\]$/, "$1") : options.host;
  const tried: Tried = way ?? { host, remotePort: options.port };
  const { signal, abort, unlink } = linkedController(options.signal);
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    checkTlsOptions(options);
    checkInteger("timeout", milliseconds, 0, MAX_TIME);
    if (typeof host !== "string" || host === "") {
      throw argumentError(TypeError, "host must be a host name or an IP address");
    }
    if (signal.aborted) throw abortedError(signal, { step: "tls", tried });
    if (milliseconds !== 0) {
      timer = setTimeout(
        () => abort(connectError("TLS_TIMEOUT", `timeout is ${milliseconds} ms`, { tried })),
        milliseconds,
      );
    }
    return await handshake(stream, host, options, tried, signal, protocols);
  } catch (error) {
    stream.on("error", ignore);
    stream.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    unlink();
  }
}

async function handshake(
  stream: Duplex,
  host: string,
  options: SecureOptions,
  tried: Tried,
  signal: AbortSignal,
  protocols: readonly string[] | undefined,
): Promise<Secured> {
  const offered = protocols ?? options.alpnProtocols ?? ["http/1.1"];
  const accepted = protocols ?? ["http/1.1"];
  const name = options.servername ?? withoutScope(host);
  // RFC 6066 §3: "Literal IPv4 and IPv6 addresses are not permitted in "HostName"."
  const servername = isIP(name) === 0 ? name.replace(/\.$/, "") : undefined;
  const identity = identityOf(protocols === undefined ? options : { ...options, alpnProtocols: protocols });
  const cache = options.sessionCache === false ? undefined : sessionsOf(options.sessionCache ?? sharedTlsSessions);
  const key = JSON.stringify([host, options.port ?? null, name, identity]);
  const kept = cache?.take(key);
  const checkServerIdentity = options.checkServerIdentity ?? (isIP(name) === 6 ? checkIpv6Identity : undefined);
  const socket = tlsConnect({
    socket: stream,
    secureContext: contextFor(options),
    host: name,
    servername: servername ?? "",
    rejectUnauthorized: options.rejectUnauthorized !== false,
    ALPNProtocols: [...offered],
    ...(checkServerIdentity === undefined ? {} : { checkServerIdentity }),
    ...(kept === undefined ? {} : { session: kept.session }),
  });
  const keeper = cache === undefined ? undefined : new SessionKeeper(socket, cache, key);
  await abortable<void>(
    signal,
    (resolve, reject) => {
      const stop = (): void => {
        socket.off("secureConnect", onSecure);
        socket.off("error", onError);
        socket.off("close", onClose);
      };
      const drop = (): void => {
        stop();
        socket.on("error", ignore); // some streams emit an error when they are destroyed
        socket.destroy();
      };
      const fail = (error: Error): void => {
        drop();
        reject(error);
      };
      const onSecure = (): void => {
        const resumed = socket.isSessionReused();
        const failure = checkPeer(socket, accepted, options.pins, resumed, tried);
        // the server did not accept the session, or has another key now: its sessions are useless
        if (failure !== undefined || (kept !== undefined && !resumed)) cache?.delete(key);
        if (failure !== undefined) {
          fail(failure);
          return;
        }
        keeper?.verified(resumed ? kept : undefined);
        stop();
        resolve();
      };
      const onError = (error: NodeJS.ErrnoException): void => fail(tlsFailure(error, tried));
      const onClose = (): void => fail(connectError("TLS_CLOSED", undefined, { tried }));
      socket.on("secureConnect", onSecure);
      socket.on("error", onError);
      socket.on("close", onClose);
      return drop;
    },
    { step: "tls", tried },
  );
  const { alpnProtocol } = socket;
  const info: TlsInfo = {
    protocol: socket.getProtocol() ?? "",
    cipher: socket.getCipher().standardName,
    alpn: typeof alpnProtocol === "string" ? alpnProtocol : undefined,
    servername,
    resumed: socket.isSessionReused(),
    authorized: socket.authorized,
  };
  return { stream: socket, info };
}

/** Checks what OpenSSL does not: pinned keys, and the negotiated protocol. */
function checkPeer(
  socket: TLSSocket,
  protocols: readonly string[],
  pins: readonly string[] | undefined,
  resumed: boolean,
  tried: Tried,
): ConnectError | undefined {
  const { alpnProtocol } = socket;
  if (typeof alpnProtocol === "string" && !protocols.includes(alpnProtocol)) {
    return connectError("TLS_ALPN", `it chose ${JSON.stringify(alpnProtocol)}`, { tried });
  }
  // a resumed session has no certificate, but pins are part of the key under which it was kept
  if (pins === undefined || resumed) return undefined;
  const certificate = peerCertificate(socket);
  if (certificate !== undefined && isPinned(new X509Certificate(certificate.raw), pins)) return undefined;
  const got = certificate === undefined ? "it sent no certificate" : `it has ${pinOf(certificate.raw)}`;
  return connectError("TLS_PIN_MISMATCH", got, { tried });
}

/**
 * Returns the peer's certificate, if it sent one. (getPeerX509Certificate removes it from the
 * chain: node#65579.)
 */
function peerCertificate(socket: TLSSocket): PeerCertificate | undefined {
  const certificate: Partial<PeerCertificate> = socket.getPeerCertificate();
  return certificate.raw === undefined ? undefined : (certificate as PeerCertificate);
}

/**
 * Keeps the sessions that the server issues. In TLS 1.3 they arrive after the handshake (RFC 8446
 * §4.6.1), so the keeper lives as long as the connection. In TLS 1.2 they arrive with the
 * handshake, and wait until the peer is verified.
 */
class SessionKeeper {
  private readonly socket: TLSSocket;
  private readonly cache: Sessions;
  private readonly key: string;
  private readonly early: Buffer[] = [];
  /**
   * Set once sessions may be kept. A transport may have emptied the socket later, so it is not read
   * then.
   */
  private peer: { readonly protocol: string; readonly certificateExpires: number } | undefined;

  constructor(socket: TLSSocket, cache: Sessions, key: string) {
    this.socket = socket;
    this.cache = cache;
    this.key = key;
    socket.on("session", (session) => this.keep(session));
  }

  /** `resumed`: the session that was resumed; its certificate was verified when it began. */
  verified(resumed: KeptSession | undefined): void {
    const certificateExpires = resumed?.certificateExpires ?? Date.parse(peerCertificate(this.socket)?.valid_to ?? "");
    if (Number.isNaN(certificateExpires)) return;
    this.peer = { protocol: this.socket.getProtocol() ?? "", certificateExpires };
    for (const session of this.early.splice(0)) this.keep(session);
  }

  private keep(session: Buffer): void {
    if (this.peer === undefined) this.early.push(session);
    else this.cache.put(this.key, session, this.peer.protocol, this.peer.certificateExpires);
  }
}
