const PATIENCE = 60_000; // ms after which a test that would hang fails

/** Waits for a condition that no event reports. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`it was to come, and did not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
