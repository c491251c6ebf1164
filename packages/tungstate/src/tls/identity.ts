import { createHash, randomBytes } from "node:crypto";
import * as tls from "node:tls";
import type { TlsOptions } from "./options.ts";

/** The options that an OpenSSL context is made of. */
const OF_CONTEXT = [
  "ca",
  "cert",
  "key",
  "pfx",
  "passphrase",
  "crl",
  "ciphers",
  "sigalgs",
  "ecdhCurve",
  "minVersion",
  "maxVersion",
] as const satisfies readonly (keyof TlsOptions)[];

/** The other options that decide whether a peer is accepted and what is negotiated with it. */
const OF_PEER = [
  "checkServerIdentity",
  "rejectUnauthorized",
  "pins",
  "alpnProtocols",
] as const satisfies readonly (keyof TlsOptions)[];

/**
 * Salt of the digests, so that the keys of a cache reveal nothing about private keys and
 * passphrases.
 */
const SECRET = randomBytes(16);

/** Returns equal strings for options that make equal contexts. Options are compared by content. */
export function contextIdentity(options: TlsOptions): string {
  return digest(options, OF_CONTEXT, options.ca === undefined ? defaultAuthorities() : "");
}

/**
 * Returns equal strings for options that accept the same peers. Options are compared by content,
 * functions by identity.
 */
export function identityOf(options: TlsOptions): string {
  return digest(options, OF_PEER, contextIdentity(options));
}

/** Returns equal strings for equal texts, and reveals nothing about them. */
export function digestOf(text: string): string {
  return createHash("sha256").update(SECRET).update(text).digest("base64");
}

function digest(options: TlsOptions, names: readonly (keyof TlsOptions)[], more: string): string {
  const hash = createHash("sha256").update(SECRET).update(more);
  for (const name of names) {
    hash.update(`\0${name}:`);
    describe(options[name], (part) => hash.update(`${Buffer.byteLength(part)}:`).update(part));
  }
  return hash.digest("base64");
}

/**
 * Changes when the default authorities of the process do (tls.setDefaultCACertificates, Node 24).
 */
function defaultAuthorities(): string {
  const { getCACertificates } = tls as { readonly getCACertificates?: () => readonly string[] };
  return getCACertificates === undefined ? "" : objectNumber(getCACertificates());
}

function describe(value: unknown, write: (part: string | Uint8Array) => void): void {
  if (value === undefined || value === null) {
    write("");
  } else if (typeof value === "string" || value instanceof Uint8Array) {
    write(value);
  } else if (Array.isArray(value)) {
    write(`[${value.length}`);
    for (const item of value) describe(item, write);
  } else if (typeof value === "function") {
    write(`#${objectNumber(value)}`);
  } else if (typeof value === "object") {
    // { pem, passphrase } and similar
    for (const [name, item] of Object.entries(value)) {
      write(`.${name}`);
      describe(item, write);
    }
  } else {
    write(JSON.stringify(value)); // true, false or a number
  }
}

const numbers = new WeakMap<object, string>();
let last = 0;

/** Returns a text that no other object of the process has. */
export function objectNumber(value: object): string {
  let number = numbers.get(value);
  if (number === undefined) {
    number = String(++last);
    numbers.set(value, number);
  }
  return number;
}
