import { type Logger, pino } from "pino";

const HELD_LOG = 1024 * 1024; // bytes of lines that are kept to be written later, while they can't be

/** Log lines as JSON on stderr; synchronous, so that the last line of a crash is there. */
export function logger(level: string, bindings: Readonly<Record<string, unknown>> = {}): Logger {
  const lines = pino.destination({ dest: 2, sync: true, maxLength: HELD_LOG });
  // a full disk, or nobody who reads what is written any more: no reason to stop serving
  for (const out of [lines, process.stdout]) out.on("error", () => undefined);
  return pino({ level, base: { pid: process.pid, ...bindings } }, lines);
}
