import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Redis } from "../../support/redis.ts";
import type { Attack, Surroundings } from "./attack.ts";
import { CHANNEL, fill, flood, forever, hubClient, sleep, SUBSCRIBE } from "./peers.ts";

const POISONED = "public:poisoned";
const FULL_AT = "100mb";
const REPLICA_FOR = 4_000; // ms
const MOST_FETCHES = 10; // of keys: 3 at once and 1 in 5 s, or after 1 s, 2 s, 4 s where they fail

async function redis(
  disturb: (server: Redis, over: AbortSignal) => Promise<void>,
  ...options: readonly string[]
): Promise<Surroundings> {
  const server = await Redis.start(...options);
  return {
    args: ["--redis", server.url],
    problems: () => [],
    disturb: (over) => disturb(server, over),
    stop: () => server.stop(),
  };
}

/** Attacks on what the server depends on. */
export const STORE_ATTACKS: readonly Attack[] = [
  {
    name: "Redis key of a wrong type",
    what: "publications to a channel whose key in Redis is something else, between others",
    workers: true,
    surroundings: () =>
      redis(async (server) => {
        for (const key of ["s", "m"]) await server.command("SET", `tungstate:{.${POISONED}}:${key}`, "not ours");
      }),
    run: (target) => {
      const publish = (channel: string, id: number): string => JSON.stringify({ id, publish: { channel, data: id } });
      return forever(5, () =>
        flood(target, (round) =>
          [CHANNEL, POISONED, "public:other"]
            .map((channel, index) => publish(channel, 10 + 3 * round + index))
            .join("\n"),
        ),
      );
    },
  },
  {
    name: "full Redis",
    what: `publications of 60 KB to new channels, until a Redis with maxmemory ${FULL_AT} is full`,
    stopsPublishing: true,
    surroundings: () => redis(async () => undefined, "--maxmemory", FULL_AT, "--maxmemory-policy", "noeviction"),
    run: (target) =>
      forever(20, (index) => {
        const data = "x".repeat(60_000);
        return flood(target, (round) =>
          JSON.stringify({ id: round + 2, publish: { channel: `public:${index}-${round % 50}`, data } }),
        );
      }),
  },
  {
    name: "Redis becomes a replica",
    what: "for 4 s of 8 s, while clients publish",
    stopsPublishing: true,
    surroundings: () =>
      redis(async (server, over) => {
        while (!over.aborted) {
          await server.command("REPLICAOF", "127.0.0.1", "1");
          await sleep(REPLICA_FOR);
          await server.command("REPLICAOF", "NO", "ONE");
          await sleep(REPLICA_FOR);
        }
      }),
    run: (target) =>
      forever(20, () =>
        flood(target, (round) => JSON.stringify({ id: round + 2, publish: { channel: CHANNEL, data: round } }), {
          first: [SUBSCRIBE],
        }),
      ),
  },
  {
    name: "silent Redis",
    what: "it stops for 2 s of 6 s, while clients publish",
    stopsPublishing: true,
    surroundings: () =>
      redis(async (server, over) => {
        while (!over.aborted) {
          server.freeze(true);
          await sleep(2_000);
          server.freeze(false);
          await sleep(4_000);
        }
      }),
    run: (target) => forever(5, () => fill(target)),
  },
  {
    name: "failing keys",
    what: "tokens of anybody's making, while the address of the keys answers with 500",
    surroundings: async () => {
      let fetches = 0;
      const server = createServer((_, response) => {
        fetches++;
        response.writeHead(500).end();
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      const since = performance.now();
      return {
        args: ["--token-jwks", `http://127.0.0.1:${port}/keys`],
        problems: () => {
          const most = MOST_FETCHES + (performance.now() - since) / 5_000;
          return fetches <= most ? [] : [`keys were fetched ${fetches} times`];
        },
        stop: async () => {
          server.closeAllConnections();
          server.close();
        },
      };
    },
    run: (target) =>
      forever(20, async (index) => {
        const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
        const header = { alg: "RS256", kid: `${index}-${Math.random()}` };
        const token = `${part(header)}.${part({ sub: "x", exp: 2e9 })}.${"A".repeat(342)}`;
        const socket = await hubClient(target, {}, { token });
        await Promise.race([socket.closed, sleep(200)]);
        socket.terminate();
      }),
  },
];
