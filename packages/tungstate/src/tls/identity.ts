import { createHash, randomBytes } from "node:crypto";
import * as tls from "node:tls";
import type { TlsOptions } from "./options.ts";

/** Every option that decides who is trusted, who one is, or what is agreed on. */
const IDENTITY = [
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
  "checkServerIdentity",
  "rejectUnauthorized",
  "pins",
  "alpnProtocols",
] as const satisfies readonly (keyof TlsOptions)[];

/** So that a cache's keys tell nothing about keys and passphrases. */
const SECRET = randomBytes(16);

/** The same string for options that mean the same: by contents where there are contents, by identity for functions. */
export function identityOf(options: TlsOptions): string {
  const hash = createHash("sha256").update(SECRET);
  for (const name of IDENTITY) {
    hash.update(`\0${name}:`);
    describe(options[name], (part) => hash.update(`${Buffer.byteLength(part)}:`).update(part));
  }
  if (options.ca === undefined) hash.update(`\0${defaultAuthorities()}`);
  return hash.digest("base64");
}

/** Changes when the process's default authorities do (tls.setDefaultCACertificates, Node 24). */
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
    // { pem, passphrase } and its like
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

function objectNumber(value: object): string {
  let number = numbers.get(value);
  if (number === undefined) {
    number = String(++last);
    numbers.set(value, number);
  }
  return number;
}
