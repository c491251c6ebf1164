import { supportsSocketSettings } from "../dial/device.ts";

/** Whether TCP_USER_TIMEOUT can be set: on Node.js on Linux, with the optional peer koffi. */
export async function canSetUserTimeout(): Promise<boolean> {
  if (!supportsSocketSettings()) return false;
  try {
    await import("koffi");
    return true;
  } catch {
    return false;
  }
}
