import { type LogFn, type Logger, pino } from "pino";
import { LineWriter } from "./line-writer.ts";
import { RepeatLimiter } from "./repeat-limiter.ts";
import { stderrSink } from "./stderr.ts";

const MAX_QUEUED_BYTES = 1024 * 1024; // bytes of queued lines
const MAX_LINE = 64 * 1024; // bytes; longer lines are replaced by a note
// lines per second with the same message and error; debug lines are not limited
const MAX_REPEATS = 20;
const WARN = 40; // level numbers of pino
const DEBUG = 20;

/** Writes log lines as JSON to stderr. */
export interface ServeLog {
  readonly logger: Logger;
  /** Number of lines dropped because stderr was not read in time. */
  readonly droppedLines: number;
  /** Resolves when all lines are written, or after `timeout` ms. */
  flush(timeout: number): Promise<void>;
}

/**
 * Creates the log of a process. Logging never blocks on stderr: lines are queued up to 1 MiB,
 * further ones are dropped and counted. Of identical messages, 20 are written each second, followed
 * by a count of the rest.
 */
export function openLog(level: string, bindings: Readonly<Record<string, unknown>> = {}): ServeLog {
  const base = { pid: process.pid, ...bindings };
  const note = (fields: Readonly<Record<string, unknown>>, msg: string): string =>
    `${JSON.stringify({ level: WARN, time: Date.now(), ...base, ...fields, msg })}\n`;
  const writer = new LineWriter(stderrSink(), {
    maxBytes: MAX_QUEUED_BYTES,
    dropped: (lines) => note({ lines }, "log lines were dropped: stderr was not read in time"),
  });
  const repeats = new RepeatLimiter(MAX_REPEATS, (delay, callback) => void setTimeout(callback, delay).unref());
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
          const report = (more: number): void => Reflect.apply(method, this, [{ more }, messageOf(fields, msg)]);
          if (number <= DEBUG || repeats.allows(`${number} ${messageOf(fields, msg)} ${errorOf(fields)}`, report)) {
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

/**
 * Returns the message of a log call. Messages are fixed texts; variable parts are in the fields.
 */
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
