import type { Logger } from "pino";
import { type App, startApp } from "./app.ts";
import { readCertificate } from "./certificate.ts";
import { explainSystem } from "./explain.ts";
import { type Flags, gatherSettings } from "./gather.ts";
import { logger } from "./log.ts";
import { planOf, type ServePlan } from "./plan.ts";

import type { Running } from "./running.ts";
import { fail } from "./stdio.ts";
import { openStores } from "./stores.ts";
import { runPrimary } from "./workers/primary.ts";

const SAME_SIGNAL_MS = 1_000;

/** `tungstate serve`: one line on stdout when it is ready, log lines on stderr, drained by SIGTERM and SIGINT. */
export async function serveCommand(flags: Flags): Promise<void> {
  const { settings, problems } = gatherSettings(flags, process.env);
  const { plan, problems: more } = planOf(settings);
  if (problems.length + more.length > 0) {
    fail(...problems, ...more);
    return;
  }
  const log = logger(plan.logLevel);
  let running: Running;
  try {
    running = plan.workers === 1 ? await runAlone(plan, log) : await runPrimary(plan, log);
  } catch (error) {
    fail(startFailure(plan, error));
    return;
  }
  drainOnSignal(running, plan.drain * 1000, log);
  if (plan.certificate !== undefined) process.on("SIGHUP", () => renewCertificate(plan, running, log));
  process.stdout.write(`listening on ${running.url}\n`);
}

async function runAlone(plan: ServePlan, log: Logger): Promise<Running> {
  const stores = await openStores(plan, log);
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

function drainOnSignal(running: Running, timeout: number, log: Logger): void {
  let drainingSince: number | undefined;
  const onSignal = (signal: string): void => {
    if (drainingSince !== undefined) {
      // A shell and npm both pass on a Ctrl+C: what comes at once is the same one.
      if (performance.now() - drainingSince > SAME_SIGNAL_MS) process.exit(1);
      return;
    }
    drainingSince = performance.now();
    log.info({ signal }, "draining");
    running.close(Math.max(1, timeout)).then(
      () => log.info("drained"),
      (error: unknown) => {
        log.error({ err: error }, "draining failed");
        process.exitCode = 1;
      },
    );
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
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
