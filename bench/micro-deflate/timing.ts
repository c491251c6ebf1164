const ROUNDS = 15;

/**
 * Returns the CPU time of a call in microseconds, over all threads. It is the best of 15 rounds of
 * `roundMs`, to reduce the influence of other programs.
 */
export async function cpuPerCall(call: (index: number) => unknown, roundMs: number): Promise<number> {
  let index = 0;
  const warmUntil = performance.now() + roundMs;
  while (performance.now() < warmUntil) await call(index++);
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    const until = performance.now() + roundMs;
    let calls = 0;
    do {
      const result = call(index++);
      if (result instanceof Promise) await result;
      calls++;
    } while (performance.now() < until);
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / calls);
  }
  return best;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, at) => (at === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

export function formatNumber(value: number): string {
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
}
