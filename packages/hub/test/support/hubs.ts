import { Hub } from "../../src/hub/hub.ts";
import type { HubOptions } from "../../src/settings/options.ts";
import { VirtualClock } from "./virtual-clock.ts";

export interface HubUnderTest {
  readonly hub: Hub;
  readonly clock: VirtualClock;
  /** Internal errors. */
  readonly errors: unknown[];
}

/** Namespaces of `tungstate serve`, and more. */
export const NAMESPACES: HubOptions["namespaces"] = {
  public: {
    history: { size: 1000, ttl: 3600_000 },
    presence: true,
    joinLeave: true,
    subscribe: "anyone",
    publish: "anyone",
  },
  "": { subscribe: "anyone", publish: "anyone" },
  quiet: { history: { size: 100, ttl: 60_000 }, subscribe: "anyone", publish: "anyone" },
  delta: { history: { size: 100, ttl: 60_000 }, delta: true, subscribe: "anyone", publish: "anyone" },
  members: { presence: true, history: { size: 10, ttl: 60_000 }, subscribe: "authenticated", publish: "subscribers" },
  private: { history: { size: 10, ttl: 60_000 } },
  drop: { subscribe: "anyone", publish: "anyone", slowConsumer: "drop-oldest" },
  latest: { subscribe: "anyone", publish: "anyone", slowConsumer: "conflate", conflateBy: "key" },
  asking: { subscribe: "anyone", joinLeave: "asking" },
};

/** Calls `run` with a hub on a virtual clock, and closes it. */
export async function withHub(
  options: Partial<HubOptions>,
  run: (under: HubUnderTest) => Promise<void>,
): Promise<void> {
  const clock = new VirtualClock();
  const errors: unknown[] = [];
  let ids = 0;
  const hub = new Hub({
    namespaces: NAMESPACES,
    anonymous: true,
    ping: false,
    clock,
    newId: () => `id${ids++}`,
    onError: (error) => errors.push(error),
    ...options,
  });
  await hub.start();
  try {
    await run({ hub, clock, errors });
  } finally {
    await hub.close();
  }
}
