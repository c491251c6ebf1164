import type { Attack } from "./attack.ts";
import { HTTP_ATTACKS } from "./http.ts";
import { HUB_ATTACKS } from "./hub.ts";
import { PROGRAM_ATTACKS } from "./program.ts";
import { SOCKET_ATTACKS } from "./sockets.ts";
import { STORE_ATTACKS } from "./stores.ts";
import { WORKER_ATTACKS } from "./workers.ts";

const WITH_ONE = [
  ...HUB_ATTACKS,
  ...SOCKET_ATTACKS,
  ...HTTP_ATTACKS,
  ...WORKER_ATTACKS,
  ...STORE_ATTACKS,
  ...PROGRAM_ATTACKS,
];

/** All attacks. Those on `--workers 2` have names of their own. */
export const ATTACKS: readonly Attack[] = WITH_ONE.flatMap((attack) => {
  const { name, args = [], workers } = attack;
  if (workers !== true) return [attack];
  return [attack, { ...attack, name: `${name} (2 workers)`, args: [...args, "--workers", "2"] }];
});
