import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from "node:dns";
import { connectError, type Tried } from "../errors.ts";
import { abortable } from "../schedule/abortable.ts";
import { type Family, familyOf } from "../transport/ip.ts";

/** A resolver with the signature of `dns.lookup`, as `lookup` in node:net. */
export type Lookup = (
  hostname: string,
  options: LookupOptions,
  callback: (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void,
) => void;

export interface ResolvedAddress {
  readonly address: string;
  readonly family: Family;
}

/**
 * Resolves a host to its addresses, in the order in which they are tried. An IP address resolves to
 * itself. A lookup cannot be stopped: its result is ignored after an abort.
 */
export async function resolve(
  host: string,
  options: { readonly lookup?: Lookup | undefined; readonly family?: Family | undefined },
  signal: AbortSignal,
  tried: Tried = { host },
): Promise<ResolvedAddress[]> {
  const { family, lookup = dnsLookup } = options;
  const literal = familyOf(host);
  if (literal !== undefined) {
    if (family !== undefined && literal !== family) {
      throw connectError("RESOLVE_FAILED", `an IPv${family} address is needed, this is an IPv${literal} address`, {
        tried,
      });
    }
    return [{ address: host, family: literal }];
  }
  const answer = await abortable<string | LookupAddress[]>(
    signal,
    (settle, reject) => {
      const done = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[]): void => {
        if (error === null || error === undefined) settle(address);
        else reject(connectError("RESOLVE_FAILED", describeLookupError(error, family), { cause: error, tried }));
      };
      try {
        lookup(host, { all: true, family: family ?? 0, order: "verbatim" }, done);
      } catch (cause) {
        reject(connectError("RESOLVE_FAILED", "lookup threw", { cause, tried }));
      }
      return () => undefined;
    },
    { step: "resolve", tried },
  );
  const addresses: ResolvedAddress[] = [];
  for (const item of typeof answer === "string" ? [answer] : answer) {
    const address = typeof item === "string" ? item : item.address;
    const its = familyOf(address);
    if (its === undefined) {
      throw connectError("RESOLVE_FAILED", `lookup gave ${JSON.stringify(address)}, no IP address`, { tried });
    }
    if (family === undefined || its === family) addresses.push({ address, family: its });
  }
  if (addresses.length === 0) {
    throw connectError("RESOLVE_FAILED", family === undefined ? "lookup gave no address" : `no IPv${family} address`, {
      tried,
    });
  }
  return interleave(addresses);
}

/**
 * Alternates the families, so that a broken one costs a single delay (RFC 8305 §4). The resolver's
 * first address stays first; the order within a family is kept.
 */
export function interleave(addresses: readonly ResolvedAddress[]): ResolvedAddress[] {
  const first = addresses.filter(({ family }) => family === addresses[0]?.family);
  const second = addresses.filter(({ family }) => family !== addresses[0]?.family);
  return first
    .flatMap((address, index) => [address, ...second.slice(index, index + 1)])
    .concat(second.slice(first.length));
}

function describeLookupError(error: NodeJS.ErrnoException, family: Family | undefined): string {
  const wanted = family === undefined ? "" : ` (IPv${family} asked for)`;
  switch (error.code) {
    case "ENOTFOUND":
    case "ENODATA":
      return `no such host${wanted}`;
    case "EAI_AGAIN":
      return `no answer from the name server${wanted}`;
    default:
      return `${error.code ?? error.message}${wanted}`;
  }
}
