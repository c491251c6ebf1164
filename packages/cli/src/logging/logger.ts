import { type LogFn, type Logger, pino } from "pino";
import { LineWriter } from "./line-writer.ts";
import { Repeats } from "./repeats.ts";
import { stderrSink } from "./stderr.ts";

const MAX_WAITING = 1024 * 1024; // bytes of lines that wait while nobody reads stderr
const MAX_LINE = 64 * 1024; // bytes; a longer one is left out
const MOST_OF_A_KIND = 20; // lines per second with the same message and error; debug lines are not counted
const WARN = 40; // pino's numbers of levels
const DEBUG = 20;

/** Log lines as JSON on stderr. */
export interface ServeLog {
  readonly logger: Logger;
  /** Lines that were dropped because nobody read stderr. */
  readonly droppedLines: number;
  /** Resolves when all lines are written, or after so many ms. */
  flush(timeout: number): Promise<void>;
}

/**
 * Makes the log of a process. Writing a line never waits for the reader of stderr: lines wait up to 1 MiB, then new ones are dropped and counted.
 * Of lines that repeat, 20 a second are written, and how many more there were.
 */
export function openLog(level: string, bindings: Readonly<Record<string, unknown>> = {}): ServeLog {
  const base = { pid: process.pid, ...bindings };
  const note = (fields: Readonly<Record<string, unknown>>, msg: string): string =>
    `${JSON.stringify({ level: WARN, time: Date.now(), ...base, ...fields, msg })}\n`;
  const writer = new LineWriter(stderrSink(), {
    maxBytes: MAX_WAITING,
    dropped: (lines) => note({ lines }, "log lines were dropped: nobody read them in time"),
  });
  const repeats = new Repeats(MOST_OF_A_KIND, (delay, callback) => void setTimeout(callback, delay).unref());
  const lines = {
    write(line: string) {
      writer.write(line.length > MAX_LINE ? note({ length: line.length }, "a log line was too long") : line);
    },
  };
  const logger = pino(
    {
      level,
      base,
      hooks: {
        logMethod(args, method, number) {
          const [fields, msg] = args as unknown as [unknown, unknown];
          const tell = (more: number): void => Reflect.apply(method, this, [{ more }, messageOf(fields, msg)]);
          if (number <= DEBUG || repeats.allows(`${number} ${messageOf(fields, msg)} ${errorOf(fields)}`, tell)) {
            Reflect.apply(method satisfies LogFn, this, args);
          }
        },
      },
    },
    lines,
  );
  process.on("exit", () => writer.flushNow());
  return {
    logger,
    get droppedLines() {
      return writer.droppedLines;
    },
    flush: (timeout) => writer.flush(timeout),
  };
}

/** A line's own text: ours are fixed, what differs is in the fields. */
function messageOf(fields: unknown, msg: unknown): string {
  if (typeof fields === "string") return fields;
  return typeof msg === "string" ? msg : "";
}

function errorOf(fields: unknown): string {
  if (typeof fields !== "object" || fields === null) return "";
  const { error, err } = fields as { readonly error?: unknown; readonly err?: unknown };
  if (err instanceof Error) return "code" in err ? String(err.code) : err.name;
  return typeof error === "string" ? error : "";
}
