import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type ConnectOptions, WebSocketError } from "tungstate";
import { conditions, type ConditionsOptions, parseConditions } from "tungstate/testing";
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
  readonly ca?: string;
  readonly insecure?: boolean;
  /** seconds */
  readonly timeout: number;
  /** seconds */
  readonly linger: number;
  readonly compress?: boolean;
  /** As `parseConditions` takes it. */
  readonly simulate?: string;
  readonly quiet?: boolean;
}

/** What the flags mean to `connect`. Throws UsageError. */
export async function connectOptions(flags: ConnectFlags): Promise<ConnectOptions> {
  const { header = [], protocol = [], origin, localAddress, proxy } = flags;
  if (flags.bindDevice === true && flags.interface === undefined)
    throw new UsageError("--bind-device needs --interface");
  const tls = {
    ...(flags.ca === undefined ? {} : { ca: await readCertificates(flags.ca) }),
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
    tls,
    ...(flags.simulate === undefined ? {} : { wrap: badNetwork(flags.simulate) }),
    ...(origin === undefined ? {} : { origin }),
  };
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
