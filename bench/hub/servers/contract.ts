// What every server of the hub's rows is: as bench/servers/contract.ts says, with channels instead of its routes. HISTORY is how many
// publications a channel has to keep.
import process from "node:process";
export { serverOptions } from "../../servers/contract.ts";

export const MAX_MESSAGE_SIZE = 65_536; // bytes, of a client

export function historySize(): number {
  return Number(process.env["HISTORY"] ?? "1000");
}
