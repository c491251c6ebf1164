import { pino } from "pino";
import { type App, startApp } from "./app.ts";
import { readConfig } from "./config.ts";
import { explainSystem } from "./explain.ts";
import { type HubOptions, problemsOf } from "./hub-options.ts";

export interface ServeOptions extends HubOptions {
  readonly host: string;
  readonly port: number;
  readonly origin?: readonly string[];
  readonly maxConnections?: number;
  readonly compression?: boolean;
  /** seconds */
  readonly drain: number;
  readonly logLevel: string;
  /** A file of settings. */
  readonly config?: string;
}

const SAME_SIGNAL_MS = 1_000;

/** What a flag, or its environment variable, says goes before what the file says. */
const FLAGS = [
  "host",
  "port",
  "origin",
  "maxConnections",
  "compression",
  "drain",
  "logLevel",
  "tokenSecret",
  "apiKey",
] as const satisfies readonly (keyof ServeOptions)[];

/** `tungstate serve`: one line on stdout when it is ready, log lines on stderr, drained by SIGTERM and SIGINT. */
export async function serveCommand(flags: ServeOptions, given: (flag: keyof ServeOptions) => boolean): Promise<void> {
  const file = flags.config === undefined ? { settings: {}, problems: [] } : readConfig(flags.config);
  const said = Object.fromEntries(
    FLAGS.filter((name) => flags[name] !== undefined && given(name)).map((name) => [name, flags[name]]),
  );
  const options: ServeOptions = { ...flags, ...file.settings, ...said };
  const problems = [...file.problems, ...problemsOf(options)];
  if (problems.length > 0) {
    for (const problem of problems) process.stderr.write(`tungstate: ${problem}\n`);
    process.exitCode = 1;
    return;
  }
  // synchronous, so that the last line of a crash is there
  const log = pino({ level: options.logLevel }, pino.destination({ dest: 2, sync: true }));
  let app: App;
  try {
    app = await startApp({
      host: options.host,
      port: options.port,
      log,
      compression: options.compression === true,
      hub: options,
      ...(options.origin === undefined ? {} : { origins: options.origin }),
      ...(options.maxConnections === undefined ? {} : { maxConnections: options.maxConnections }),
    });
  } catch (error) {
    process.stderr.write(`tungstate: cannot serve on ${options.host} port ${options.port}: ${explainSystem(error)}\n`);
    process.exitCode = 1;
    return;
  }
  let drainingSince: number | undefined;
  const onSignal = (signal: string): void => {
    if (drainingSince !== undefined) {
      // A shell and npm both pass on a Ctrl+C: what comes at once is the same one.
      if (performance.now() - drainingSince > SAME_SIGNAL_MS) process.exit(1);
      return;
    }
    drainingSince = performance.now();
    log.info({ signal, connections: app.connections }, "draining");
    app.close(Math.max(1, options.drain * 1000)).then(
      () => log.info("drained"),
      (error: unknown) => {
        log.error({ err: error }, "draining failed");
        process.exitCode = 1;
      },
    );
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  process.stdout.write(`listening on ${app.url}\n`);
}
