import type { SpawnSyncOptionsWithStringEncoding, SpawnSyncReturns } from "node:child_process";

export function npmCommand(program: "npm" | "npx", args: readonly string[]): [command: string, args: string[]];
export function spawnNpm(
  args: readonly string[],
  options: SpawnSyncOptionsWithStringEncoding,
): SpawnSyncReturns<string>;
