import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type ConnectOptions, WebSocketError } from "tungstate";
import { conditions, type ConditionsOptions, parseConditions } from "tungstate/testing";
import { type CertificateFlags, readCertificate } from "./certificate.ts";
import { explainSystem, UsageError } from "./explain.ts";

/** The flags of `tungstate connect`, as commander gives them. */
export interface ConnectFlags {
  readonly header?: readonly (readonly [name: string, value: string])[];
  readonly protocol?: readonly string[];
  readonly origin?: string;
  readonly interface?: readonly string[];
  readonly bindDevice?: boolean;
  readonly localAddress?: string;
  readonly proxy?: string;
  readonly proxyHeader?: readonly (readonly [name: string, value: string])[];
  readonly ca?: string;
  /** A file with the client's certificates. */
  readonly cert?: string;
  /** A file with their private key. */
  readonly key?: string;
  readonly passphrase?: string;
  readonly insecure?: boolean;
  /** seconds */
  readonly timeout: number;
  /** seconds */
  readonly linger: number;
  readonly compress?: boolean;
  /** As `parseConditions` takes it. */
  readonly simulate?: string;
  /** Bytes of a line of output. */
  readonly maxLine: number;
  readonly quiet?: boolean;
}

/** What the flags mean to `connect`. Throws UsageError. */
export async function connectOptions(flags: ConnectFlags): Promise<ConnectOptions> {
  const { header = [], protocol = [], origin, localAddress, proxy, proxyHeader } = flags;
  if (flags.bindDevice === true && flags.interface === undefined)
    throw new UsageError("--bind-device needs --interface");
  if (proxyHeader !== undefined && proxy === undefined) throw new UsageError("--proxy-header needs --proxy");
  const tls = {
    ...(flags.ca === undefined ? {} : { ca: await readCertificates(flags.ca) }),
    ...clientCertificate(flags),
    ...(flags.insecure === true ? { rejectUnauthorized: false } : {}),
  };
  return {
    protocols: protocol,
    compression: flags.compress === true,
    headers: header,
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

/** What the client shows to a server that asks for a certificate. */
function clientCertificate({ cert, key, passphrase }: ConnectFlags): NonNullable<ConnectOptions["tls"]> {
  if (cert === undefined) {
    if (key !== undefined) throw new UsageError("--key needs --cert, the certificate that it belongs to");
    return {};
  }
  // one file may have both
  const read = readCertificate(cert, key ?? cert, CLIENT_FLAGS, passphrase);
  if ("problems" in read) throw new UsageError(read.problems.join("; "));
  return { ...read.certificate, ...(passphrase === undefined ? {} : { passphrase }) };
}

/** Made for each connection: a redirect makes a second one. */
function badNetwork(text: string): NonNullable<ConnectOptions["wrap"]> {
  let options: ConditionsOptions;
  try {
    options = parseConditions(text);
  } catch (error) {
    if (!(error instanceof WebSocketError)) throw error;
    throw new UsageError(`--simulate: ${error.message}`, { cause: error });
  }
  return (stream) => conditions(stream, options);
}

/** The text of a file of certificates. Node takes a file without any for an empty list, and then trusts nobody: told here instead. */
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
    throw new UsageError(`--ca ${path}: expected certificates in PEM, and there are none in it`, { cause: error });
  }
  return text;
}
