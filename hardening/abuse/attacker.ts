// One attack, in a process of its own: its argument is the name, the target comes by IPC.
import { setPriority } from "node:os";
import process from "node:process";
import { ATTACKS, type Target } from "./attacks.ts";

setPriority(19); // what it costs to attack is not what is measured
process.on("unhandledRejection", () => undefined);
process.once("disconnect", () => process.exit());
process.once("message", (target: Target) => {
  void ATTACKS.find(({ name }) => name === process.argv[2])?.run(target);
});
