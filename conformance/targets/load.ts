import type { Target } from "./target.ts";

/** Loaded on demand, so that one target does not require the packages of another. */
const TARGETS = {
  tungstate: async () => (await import("./tungstate.ts")).tungstate,
  "tungstate-http2": async () => (await import("./tungstate-http2.ts")).tungstateHttp2,
  ws: async () => (await import("./ws.ts")).ws,
} as const satisfies Record<string, () => Promise<Target>>;

export type TargetName = keyof typeof TARGETS;

export const TARGET_NAMES = Object.keys(TARGETS) as readonly TargetName[];

export function isTargetName(name: string): name is TargetName {
  return Object.hasOwn(TARGETS, name);
}

export function loadTarget(name: TargetName): Promise<Target> {
  return TARGETS[name]();
}
