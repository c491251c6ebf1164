import { pino } from "pino";
import { type App, startApp } from "./app.ts";

export interface ServeOptions {
  readonly host: string;
  readonly port: number;
  readonly origin?: readonly string[];
  readonly maxConnections?: number;
  /** seconds */
  readonly drain: number;
  readonly logLevel: string;
}

/** `tungstate serve`: one line on stdout when it is ready, log lines on stderr, drained by SIGTERM and SIGINT. */
export async function serveCommand(options: ServeOptions): Promise<void> {
  // synchronous, so that the last line of a crash is there
  const log = pino({ level: options.logLevel }, pino.destination({ dest: 2, sync: true }));
  let app: App;
  try {
    app = await startApp({
      host: options.host,
      port: options.port,
      log,
      ...(options.origin === undefined ? {} : { origins: options.origin }),
      ...(options.maxConnections === undefined ? {} : { maxConnections: options.maxConnections }),
    });
  } catch (error) {
    process.stderr.write(`tungstate: cannot listen on ${options.host} port ${options.port}: ${reasonOf(error)}\n`);
    process.exitCode = 1;
    return;
  }
  process.stdout.write(`listening on ${app.url}\n`);
  let draining = false;
  const onSignal = (signal: string): void => {
    if (draining) return;
    draining = true;
    log.info({ signal, connections: app.connections }, "draining");
    app.close(options.drain * 1000).then(
      () => log.info("drained"),
      (error: unknown) => log.error({ err: error }, "draining failed"),
    );
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") return "the port is in use";
  if (code === "EADDRNOTAVAIL") return "the address is not one of this machine";
  if (code === "EACCES") return "not permitted";
  return error.message;
}
