// One attack, in a process of its own: its argument is the name, the target comes by IPC.
import process from "node:process";
import type { Target } from "./attacks/attack.ts";
import { ATTACKS } from "./attacks/all.ts";
import { restrain } from "./cores.ts";

restrain(process.pid); // what it costs to attack is not what is measured
process.on("unhandledRejection", () => undefined);
process.once("disconnect", () => process.exit());
process.once("message", (target: Target) => {
  process.send?.({}); // loading the attacks took its time, which is not that of the attack
  void ATTACKS.find(({ name }) => name === process.argv[2])?.run(target);
});
