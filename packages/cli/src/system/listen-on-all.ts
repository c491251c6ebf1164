import { lookup } from "node:dns/promises";

/**
 * Listens on a host, and on the other addresses of `localhost`, which has one of each IP version.
 * One of them is enough: a failure of the others is ignored. `listen` resolves with where it
 * listens. Resolves with the port; port 0 picks a free one. Rejects if the first address fails.
 */
export async function listenOnAll(
  host: string,
  port: number,
  listen: (host: string, port: number) => Promise<{ readonly address: string; readonly port: number }>,
): Promise<number> {
  const first = await listen(host, port);
  const all = host === "localhost" ? await lookup(host, { all: true }) : [];
  for (const { address } of all) {
    if (address !== first.address) await listen(address, first.port).catch(() => undefined);
  }
  return first.port;
}
