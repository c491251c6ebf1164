/** Whether TCP_USER_TIMEOUT can be set here: Linux has it, and koffi, an optional peer, gets at it. */
export async function canSetUserTimeout(): Promise<boolean> {
  if (process.platform !== "linux") return false;
  try {
    await import("koffi");
    return true;
  } catch {
    return false;
  }
}
