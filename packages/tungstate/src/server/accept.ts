import { onAbort } from "../schedule/abort-signal.ts";
import { CONNECTION_OPTIONS, type ConnectionOptions, connectionSettings } from "../connection/options.ts";
import { transportOf } from "../transport/of.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { isEncrypted } from "../client/url.ts";
import { Accepting } from "./accepting.ts";
import {
  Admission,
  ADMISSION_OPTIONS,
  type AdmissionOptions,
  extensionsOf,
  RefusedError,
  refusedForNow,
} from "./admission/admission.ts";
import { serverError } from "./errors.ts";
import { type OptionNames, checkNames } from "../options/names.ts";
import { checkSignal } from "../options/check.ts";
import type { ByteStream } from "../transport/byte-stream.ts";

/** Options of `accept`: those of a connection and of its admission. */
export interface AcceptOptions extends ConnectionOptions, AdmissionOptions {
  /** Aborting it ends the handshake with 503. */
  readonly signal?: AbortSignal;
}

const ACCEPT_OPTIONS: OptionNames<AcceptOptions> = { ...CONNECTION_OPTIONS, ...ADMISSION_OPTIONS, signal: true };

/**
 * Does the server's handshake on a byte stream, and gives the connection on it. When it rejects, the client has been answered as
 * HTTP wants it (400, 403, 426, ...) and the stream is ended.
 */
export function accept(stream: ByteStream, options: AcceptOptions = {}): Promise<WebSocketConnection> {
  return new Promise((resolve, reject) => {
    checkNames(options, ACCEPT_OPTIONS);
    const settings = connectionSettings("server", options);
    checkSignal(options.signal);
    const admission = new Admission(options, extensionsOf(settings), settings.runtime);
    const transport = transportOf(stream, settings);
    const from = { transport, encrypted: isEncrypted(stream), raw: undefined };
    const { signal } = options;
    const abort = (): void => accepting.fail(new RefusedError(serverError("SERVER_CLOSING")));
    const forget = onAbort(signal, abort);
    const accepting = new Accepting(transport, admission, settings, from, {
      accepted: (_, { driver }) => {
        forget();
        resolve(driver.connection);
      },
      failed: (_, error) => {
        forget();
        reject(error);
      },
      passed: () => undefined, // impossible: there is no HTTP server
    });
    if (signal?.aborted === true) abort();
    else if (settings.memoryBudget.short) accepting.fail(refusedForNow(serverError("SERVER_OVERLOADED")));
    else accepting.begin();
  });
}
