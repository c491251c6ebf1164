/** Whether TCP_USER_TIMEOUT can be set: on Linux, with the optional peer koffi. */
export async function canSetUserTimeout(): Promise<boolean> {
  if (process.platform !== "linux") return false;
  try {
    await import("koffi");
    return true;
  } catch {
    return false;
  }
}
