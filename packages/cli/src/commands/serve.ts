import type { Logger } from "pino";
import { type App, startApp } from "../server/app.ts";
import { readCertificate } from "../tls/certificate.ts";
import { explainSystem } from "../system/explain.ts";
import { type Flags, readSettings } from "../settings/read-settings.ts";
import { openLog, type ServeLog } from "../logging/logger.ts";
import { resolveConfig, type ServeConfig } from "../settings/config.ts";

import type { RunningServer } from "../server/running-server.ts";
import { onStopSignals } from "../system/signals.ts";
import { fail } from "../system/stdio.ts";
import { openStores } from "../server/stores.ts";
import { runPrimary } from "../workers/primary.ts";

const FLUSH_TIMEOUT = 1_000; // ms for writing the last log lines if stderr is not read

/**
 * Runs `tungstate serve`: prints one line to stdout when it is ready, logs to stderr, and drains on
 * SIGTERM or SIGINT.
 */
export async function serveCommand(flags: Flags): Promise<void> {
  const { settings, problems } = readSettings(flags, process.env);
  const { config, problems: more } = resolveConfig(settings);
  if (problems.length + more.length > 0) {
    fail(...problems, ...more);
    return;
  }
  const log = openLog(config.logLevel);
  let running: RunningServer;
  try {
    running = config.workers === 1 ? await runAlone(config, log) : await runPrimary(config, log.logger);
  } catch (error) {
    fail(startFailure(config, error));
    // output that stderr does not accept would keep the process alive
    setTimeout(() => process.exit(), FLUSH_TIMEOUT).unref();
    return;
  }
  drainOnSignal(running, config.drain * 1000, log);
  if (config.certificate !== undefined) process.on("SIGHUP", () => renewCertificate(config, running, log.logger));
  process.stdout.write(`listening on ${running.url}\n`);
}

async function runAlone(config: ServeConfig, log: ServeLog): Promise<RunningServer> {
  const stores = await openStores(config, log.logger);
  let app: App;
  try {
    app = await startApp({ config, log, stores });
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

/** Describes in one line why the server could not start. */
function startFailure({ host, port }: ServeConfig, error: unknown): string {
  const isListening =
    error instanceof Error && "syscall" in error && /^(listen|bind|getaddrinfo)/.test(String(error.syscall));
  if (isListening) return `cannot serve on ${host} port ${port}: ${explainSystem(error)}`;
  return error instanceof Error ? error.message : String(error);
}

/**
 * Drains on SIGTERM or SIGINT; a second signal ends the drain. Both exit with status 0, as does a
 * drain that terminates clients at its time limit.
 */
function drainOnSignal(running: RunningServer, timeout: number, log: ServeLog): void {
  const exit = async (status: number): Promise<void> => {
    await log.flush(FLUSH_TIMEOUT);
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
      log.logger.warn({ signal }, "a second signal ended the drain");
      void exit(0);
    },
  });
}

/** Reads the certificate files again. Keeps the current certificate if the files are not valid. */
function renewCertificate(config: ServeConfig, running: RunningServer, log: Logger): void {
  const { tlsCert, tlsKey } = config;
  if (tlsCert === undefined || tlsKey === undefined) return;
  const read = readCertificate(tlsCert, tlsKey);
  if ("problems" in read) {
    log.error({ problems: read.problems }, "the new certificate is invalid; the current one is kept");
    return;
  }
  const { certificate, subject, validTo } = read;
  running.setCertificate(certificate);
  log.info({ subject, validTo }, "certificate replaced");
}
