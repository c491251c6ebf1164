// The servers of the hub rows. They follow bench/servers/contract.ts, with channels instead of
// routes. HISTORY is the number of publications that a channel must keep.
import process from "node:process";
export { serverOptions } from "../../servers/contract.ts";

export const MAX_MESSAGE_SIZE = 65_536; // bytes, of a client

export function historySize(): number {
  return Number(process.env["HISTORY"] ?? "1000");
}
