import type { Target } from "../target.ts";
import { deflate } from "./deflate.ts";
import { extensions } from "./extensions.ts";
import { framesVsWs } from "./frames-vs-ws.ts";
import { frames } from "./frames.ts";
import { requestsVsWs } from "./handshakes-vs-ws.ts";
import { requests, responses } from "./handshakes.ts";
import { hub } from "./hub.ts";

export const TARGETS: readonly Target[] = [
  frames,
  framesVsWs,
  requests,
  responses,
  requestsVsWs,
  extensions,
  deflate,
  hub,
];

/** Throws for an unknown name. */
export function targetOf(name: string): Target {
  const target = TARGETS.find((each) => each.name === name);
  if (target !== undefined) return target;
  throw new Error(`unknown target ${name}, expected one of ${TARGETS.map((each) => each.name).join(", ")}`);
}
