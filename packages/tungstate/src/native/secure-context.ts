import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import { platform } from "./platform.ts";

/** In bytes, as node:tls requires. */
const TICKET_KEYS_SIZE = 48;

/**
 * As `createSecureContext` of node:tls: throws for keys and certificates that cannot be used. Deno
 * would accept them here, and fail later, in handshakes.
 */
export function openSecureContext(options: SecureContextOptions): SecureContext {
  if (platform.name === "Deno") checkKeysAndCertificates(options);
  return createSecureContext(options);
}

/** Exported for tests. Throws an Error that names the option. */
export function checkKeysAndCertificates({ key, cert, ca, passphrase, ticketKeys }: SecureContextOptions): void {
  const keys = listOf(key).map((each) =>
    named("key", () => createPrivateKey(isPem(each) ? { key: each, passphrase } : keyObject(each, passphrase))),
  );
  const certificates = listOf(cert).map((each) => named("cert", () => new X509Certificate(each)));
  for (const each of listOf(ca)) named("ca", () => new X509Certificate(each));
  for (const [index, certificate] of certificates.entries()) {
    const own = keys[index];
    if (own !== undefined && !certificate.checkPrivateKey(own)) throw new Error("key does not belong to cert");
  }
  if (ticketKeys !== undefined && ticketKeys.length !== TICKET_KEYS_SIZE) {
    throw new Error(`ticketKeys must have ${TICKET_KEYS_SIZE} bytes, got ${ticketKeys.length}`);
  }
}

type Pem = string | Buffer;

function isPem(value: unknown): value is Pem {
  return typeof value === "string" || value instanceof Uint8Array;
}

/** A key with a passphrase of its own. */
function keyObject(value: object, passphrase: string | undefined): { key: Pem; passphrase: string | undefined } {
  const { pem, passphrase: own = passphrase } = value as { readonly pem: Pem; readonly passphrase?: string };
  return { key: pem, passphrase: own };
}

function listOf<T>(value: T | readonly T[] | undefined): readonly T[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as readonly T[]) : [value as T];
}

function named<T>(option: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new Error(`${option} cannot be parsed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
