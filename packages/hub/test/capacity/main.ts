// Measures the capacity of a node and of Redis: the source of the results in docs/capacity.md. npm
// run capacity; `--help` lists the parts.
import process from "node:process";
import { commandLine } from "../../../../scripts/command-line.mjs";
import { measureNode } from "./node.ts";
import { measurePeers } from "./peers.ts";
import { measurePublishing } from "./publish.ts";
import { measureRedis } from "./redis.ts";

const PARTS = { publish: measurePublishing, peers: measurePeers, redis: measureRedis, node: measureNode } as const;

const { operands: asked } = commandLine({
  command: "npm run capacity --",
  summary: "Measures the capacity of a node and of Redis: the results in docs/capacity.md.",
  operands: {
    name: "part",
    help: `${Object.keys(PARTS).join(", ")} (default: all)`,
    read(name) {
      if (name in PARTS) return name;
      throw new Error(`unknown part ${JSON.stringify(name)}, expected ${Object.keys(PARTS).join(", ")}`);
    },
  },
});
for (const [name, measure] of Object.entries(PARTS)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  console.log(`\n${name}`);
  await measure((what, figure) => console.log(`  ${what.padEnd(74)} ${figure}`));
}
process.exit(0);
