// What a node and a Redis carry. Each figure of docs/capacity.md comes from here.
// npm run capacity -- [publish] [peers] [redis] [node]
import process from "node:process";
import { measureNode } from "./node.ts";
import { measurePeers } from "./peers.ts";
import { measurePublishing } from "./publish.ts";
import { measureRedis } from "./redis.ts";

const PARTS = { publish: measurePublishing, peers: measurePeers, redis: measureRedis, node: measureNode } as const;

const asked = process.argv.slice(2);
const unknown = asked.find((name) => !(name in PARTS));
if (unknown !== undefined) {
  console.error(`capacity: there is no part ${unknown}; there are ${Object.keys(PARTS).join(", ")}`);
  process.exit(2);
}
for (const [name, measure] of Object.entries(PARTS)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  console.log(`\n${name}`);
  await measure((what, figure) => console.log(`  ${what.padEnd(74)} ${figure}`));
}
process.exit(0);
