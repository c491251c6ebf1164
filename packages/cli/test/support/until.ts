const PATIENCE = 60_000; // ms: it ends a test that would hang

/** Waits until something is so of which nothing tells. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`it was to come, and did not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
