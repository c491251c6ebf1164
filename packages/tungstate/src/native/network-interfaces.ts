import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import { isPermitted } from "./platform.ts";

/** The result of `os.networkInterfaces`. */
export type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>;

/**
 * Returns the network interfaces of this machine; undefined where they cannot be read: in Deno
 * without the permission `--allow-sys=networkInterfaces`, and in sandboxes.
 */
export function readInterfaces(): Interfaces | undefined {
  if (!isPermitted({ name: "sys", kind: "networkInterfaces" })) return undefined;
  try {
    return networkInterfaces();
  } catch {
    return undefined;
  }
}
