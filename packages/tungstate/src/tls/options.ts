import { invalidOption } from "@tungstate/protocol/internal";
import { createHash, X509Certificate } from "node:crypto";
import type { ConnectionOptions } from "node:tls";
import type { TlsSessionCache } from "./session-cache.ts";
import { describe } from "../options/describe.ts";
import type { OptionNames } from "../options/names.ts";

/** The options of node:tls that decide which peers are trusted and how data is encrypted. */
type NodeTlsOptions = Pick<
  ConnectionOptions,
  | "ca"
  | "cert"
  | "key"
  | "pfx"
  | "passphrase"
  | "crl"
  | "ciphers"
  | "sigalgs"
  | "ecdhCurve"
  | "minVersion"
  | "maxVersion"
  | "checkServerIdentity"
>;

/** TLS options of a client: the matching options of node:tls, pins, and the session cache. */
export interface TlsOptions extends NodeTlsOptions {
  /** Server name for SNI and for the certificate check. Default: the URL's host. */
  readonly servername?: string | undefined;
  /**
   * False accepts any certificate, so anyone on the path can read and change the data. Default
   * true.
   */
  readonly rejectUnauthorized?: boolean | undefined;
  /**
   * Pinned public keys. The server's certificate must be valid and have one of them. Each is
   * `sha256/` followed by the base64 of the SHA-256 of the SubjectPublicKeyInfo (RFC 7469 §2.4), or
   * that base64 alone. Default: none.
   */
  readonly pins?: readonly string[] | undefined;
  /** Protocols to offer by ALPN. Default `["http/1.1"]`, the only one that `client` speaks. */
  readonly alpnProtocols?: readonly string[] | undefined;
  /**
   * Where sessions are kept for resumption; false: sessions are not kept. Default:
   * `sharedTlsSessions`.
   */
  readonly sessionCache?: TlsSessionCache | false | undefined;
}

export const TLS_OPTIONS: OptionNames<TlsOptions> = {
  ca: true,
  cert: true,
  key: true,
  pfx: true,
  passphrase: true,
  crl: true,
  ciphers: true,
  sigalgs: true,
  ecdhCurve: true,
  minVersion: true,
  maxVersion: true,
  checkServerIdentity: true,
  servername: true,
  rejectUnauthorized: true,
  pins: true,
  alpnProtocols: true,
  sessionCache: true,
};

const SHA256_BASE64 = /^[A-Za-z0-9+/]{43}=$/;

/** Checks the options. Throws INVALID_ARGUMENT. */
export function checkTlsOptions(options: TlsOptions): void {
  if (typeof options !== "object" || options === null)
    throw invalidOption("tls", "an object", options, describe(options));
  const { pins, alpnProtocols, servername } = options;
  if (pins !== undefined) {
    if (pins.length === 0) throw invalid("pins", "at least one pin", "[]");
    for (const pin of pins) {
      if (!SHA256_BASE64.test(bare(pin))) {
        throw invalid("pins", "`sha256/` and the 44 characters of a SHA-256 in base64", JSON.stringify(pin));
      }
    }
  }
  if (alpnProtocols !== undefined && !alpnProtocols.includes("http/1.1")) {
    throw invalid("alpnProtocols", 'a list with "http/1.1"', JSON.stringify(alpnProtocols));
  }
  if (servername !== undefined && (typeof servername !== "string" || servername === "")) {
    throw invalid("servername", "a host name", JSON.stringify(servername) ?? String(servername));
  }
}

/** Returns the pin of a certificate (PEM or DER) in the form of the option `pins`. */
export function pinOf(certificate: X509Certificate | string | Uint8Array): string {
  const parsed = certificate instanceof X509Certificate ? certificate : new X509Certificate(certificate);
  return `sha256/${spkiHash(parsed)}`;
}

export function isPinned(certificate: X509Certificate, pins: readonly string[]): boolean {
  const hash = spkiHash(certificate);
  return pins.some((pin) => bare(pin) === hash);
}

function spkiHash(certificate: X509Certificate): string {
  return createHash("sha256")
    .update(certificate.publicKey.export({ type: "spki", format: "der" }))
    .digest("base64");
}

function bare(pin: string): string {
  return pin.startsWith("sha256/") ? pin.slice("sha256/".length) : pin;
}

function invalid(name: string, expected: string, got: string): Error {
  return invalidOption(name, expected, got, got);
}
