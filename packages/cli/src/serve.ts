import type { Logger } from "pino";
import { type App, startApp } from "./app.ts";
import { readCertificate } from "./certificate.ts";
import { explainSystem } from "./explain.ts";
import { type Flags, gatherSettings } from "./gather.ts";
import { openLog, type ServeLog } from "./logging/logger.ts";
import { planOf, type ServePlan } from "./plan.ts";

import type { Running } from "./running.ts";
import { onStopSignals } from "./signals.ts";
import { fail } from "./stdio.ts";
import { openStores } from "./stores.ts";
import { runPrimary } from "./workers/primary.ts";

const LAST_LINES = 1_000; // ms for the last log lines, where nobody reads them

/** `tungstate serve`: one line on stdout when it is ready, log lines on stderr, drained by SIGTERM and SIGINT. */
export async function serveCommand(flags: Flags): Promise<void> {
  const { settings, problems } = gatherSettings(flags, process.env);
  const { plan, problems: more } = planOf(settings);
  if (problems.length + more.length > 0) {
    fail(...problems, ...more);
    return;
  }
  const log = openLog(plan.logLevel);
  let running: Running;
  try {
    running = plan.workers === 1 ? await runAlone(plan, log) : await runPrimary(plan, log.logger);
  } catch (error) {
    fail(startFailure(plan, error));
    // what stderr does not take would keep the process
    setTimeout(() => process.exit(), LAST_LINES).unref();
    return;
  }
  drainOnSignal(running, plan.drain * 1000, log);
  if (plan.certificate !== undefined) process.on("SIGHUP", () => renewCertificate(plan, running, log.logger));
  process.stdout.write(`listening on ${running.url}\n`);
}

async function runAlone(plan: ServePlan, log: ServeLog): Promise<Running> {
  const stores = await openStores(plan, log.logger);
  let app: App;
  try {
    app = await startApp({ plan, log, stores });
  } catch (error) {
    stores?.close();
    throw error;
  }
  return {
    url: app.url,
    setCertificate: (certificate) => app.setCertificate(certificate),
    close: (timeout) => app.close(timeout),
  };
}

/** In one line, what it was that failed. */
function startFailure({ host, port }: ServePlan, error: unknown): string {
  const isListening =
    error instanceof Error && "syscall" in error && /^(listen|bind|getaddrinfo)/.test(String(error.syscall));
  if (isListening) return `cannot serve on ${host} port ${port}: ${explainSystem(error)}`;
  return error instanceof Error ? error.message : String(error);
}

/**
 * SIGTERM or SIGINT drains; another one ends the time that clients have. Both end with status 0: what was asked for has been done, and whoever is
 * still there after the drain time is dropped as well.
 */
function drainOnSignal(running: Running, timeout: number, log: ServeLog): void {
  const exit = async (status: number): Promise<void> => {
    await log.flush(LAST_LINES);
    process.exit(status);
  };
  onStopSignals({
    first(signal) {
      log.logger.info({ signal }, "draining");
      running.close(Math.max(1, timeout)).then(
        () => {
          log.logger.info("drained");
          return exit(0);
        },
        (error: unknown) => {
          log.logger.error({ err: error }, "draining failed");
          return exit(1);
        },
      );
    },
    again(signal) {
      log.logger.warn({ signal }, "the drain was cut short");
      void exit(0);
    },
  });
}

/** Reads the files again. What can't be used changes nothing. */
function renewCertificate(plan: ServePlan, running: Running, log: Logger): void {
  const { tlsCert, tlsKey } = plan;
  if (tlsCert === undefined || tlsKey === undefined) return;
  const read = readCertificate(tlsCert, tlsKey);
  if ("problems" in read) {
    log.error({ problems: read.problems }, "the certificate stays as it is");
    return;
  }
  const { certificate, subject, validTo } = read;
  running.setCertificate(certificate);
  log.info({ subject, validTo }, "another certificate");
}
