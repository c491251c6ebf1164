import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { ConnectOptions } from "tungstate";
import { isArgumentError } from "tungstate/internal";
import { conditions, type ConditionsOptions, parseConditions } from "tungstate/testing";
import { type CertificateFlags, readCertificate } from "../tls/certificate.ts";
import { explainSystem, UsageError } from "../system/explain.ts";

/** The flags of `tungstate connect`, as Commander parses them. */
export interface ConnectFlags {
  readonly header?: readonly (readonly [name: string, value: string])[];
  readonly protocol?: readonly string[];
  readonly origin?: string;
  readonly http2?: boolean;
  readonly interface?: readonly string[];
  readonly bindDevice?: boolean;
  readonly localAddress?: string;
  readonly proxy?: string;
  readonly proxyHeader?: readonly (readonly [name: string, value: string])[];
  readonly ca?: string;
  /** PEM file with the client's certificate chain. */
  readonly cert?: string;
  /** PEM file with its private key. */
  readonly key?: string;
  readonly passphrase?: string;
  readonly insecure?: boolean;
  /** Seconds. */
  readonly timeout: number;
  /** Seconds. */
  readonly linger: number;
  readonly compress?: boolean;
  /** The syntax of `parseConditions`. */
  readonly simulate?: string;
  /** Maximum length of an output line, in bytes. */
  readonly maxLine: number;
  readonly quiet?: boolean;
}

/** Converts flags to options of `connect`. Throws `UsageError`. */
export async function connectOptions(flags: ConnectFlags): Promise<ConnectOptions> {
  const { header = [], protocol = [], origin, localAddress, proxy, proxyHeader } = flags;
  if (flags.bindDevice === true && flags.interface === undefined)
    throw new UsageError("--bind-device requires --interface");
  if (proxyHeader !== undefined && proxy === undefined) throw new UsageError("--proxy-header requires --proxy");
  const tls = {
    ...(flags.ca === undefined ? {} : { ca: await readCertificates(flags.ca) }),
    ...clientCertificate(flags),
    ...(flags.insecure === true ? { rejectUnauthorized: false } : {}),
  };
  return {
    protocols: protocol,
    compression: flags.compress === true,
    headers: header,
    ...(flags.http2 === true ? { httpVersion: "2" } : {}),
    timeout: flags.timeout * 1000,
    interface: flags.interface,
    bindToDevice: flags.bindDevice,
    localAddress,
    proxy: proxy === "environment" ? true : proxy,
    ...(proxyHeader === undefined ? {} : { proxyHeaders: proxyHeader }),
    tls,
    ...(flags.simulate === undefined ? {} : { wrap: badNetwork(flags.simulate) }),
    ...(origin === undefined ? {} : { origin }),
  };
}

const CLIENT_FLAGS: CertificateFlags = {
  cert: "--cert",
  key: "--key",
  passphrase: "--passphrase or TUNGSTATE_PASSPHRASE",
};

/** Reads the client certificate, for servers that request one. */
function clientCertificate({ cert, key, passphrase }: ConnectFlags): NonNullable<ConnectOptions["tls"]> {
  if (cert === undefined) {
    if (key !== undefined) throw new UsageError("--key requires --cert, the certificate of the key");
    return {};
  }
  // one file may contain both
  const read = readCertificate(cert, key ?? cert, CLIENT_FLAGS, passphrase);
  if ("problems" in read) throw new UsageError(read.problems.join("; "));
  return { ...read.certificate, ...(passphrase === undefined ? {} : { passphrase }) };
}

/**
 * Returns a function that simulates a network for each connection. A redirect opens a second
 * connection.
 */
function badNetwork(text: string): NonNullable<ConnectOptions["wrap"]> {
  let options: ConditionsOptions;
  try {
    options = parseConditions(text);
  } catch (error) {
    if (!isArgumentError(error)) throw error;
    throw new UsageError(`--simulate: ${error.message}`, { cause: error });
  }
  return (stream) => conditions(stream, options);
}

/**
 * Reads a file of CA certificates. Node treats a file without certificates as an empty list and
 * then rejects every server, so that case is reported here.
 */
async function readCertificates(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, "latin1");
  } catch (error) {
    throw new UsageError(`--ca ${path}: ${explainSystem(error)}`, { cause: error });
  }
  try {
    new X509Certificate(text);
  } catch (error) {
    throw new UsageError(`--ca ${path}: expected a certificate in PEM, found none`, { cause: error });
  }
  return text;
}
