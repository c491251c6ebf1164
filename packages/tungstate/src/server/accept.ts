import { onAbort } from "../schedule/abort-signal.ts";
import { publishOpen } from "../connection/channels.ts";
import { CONNECTION_OPTIONS, type ConnectionOptions, connectionSettings } from "../connection/options.ts";
import { transportOf } from "../transport/of.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { isEncrypted } from "../client/url.ts";
import { Accepting } from "./accepting.ts";
import { Admission, ADMISSION_OPTIONS, type AdmissionOptions, extensionsOf } from "./admission/admission.ts";
import { RefusedError, refusedForNow } from "./admission/refused.ts";
import { serverError } from "./errors.ts";
import { HTTP_1_RESPONDER } from "./responder.ts";
import { type OptionNames, checkNames } from "../options/names.ts";
import { checkSignal } from "../options/check.ts";
import type { ByteStream } from "../transport/byte-stream.ts";

/** Options of `accept`: those of a connection and of its admission. */
export interface AcceptOptions extends ConnectionOptions, AdmissionOptions {
  /** Aborts the handshake, which is then refused with 503. */
  readonly signal?: AbortSignal;
}

const ACCEPT_OPTIONS: OptionNames<AcceptOptions> = { ...CONNECTION_OPTIONS, ...ADMISSION_OPTIONS, signal: true };

/**
 * Runs the server's handshake on a byte stream and returns the connection. When it rejects, the
 * client has got an HTTP response (400, 403, 426, ...) and the stream has ended.
 */
export function accept(stream: ByteStream, options: AcceptOptions = {}): Promise<WebSocketConnection> {
  return new Promise((resolve, reject) => {
    checkNames(options, ACCEPT_OPTIONS);
    const settings = connectionSettings("server", options);
    checkSignal(options.signal);
    const admission = new Admission(options, extensionsOf(settings), settings.runtime);
    const transport = transportOf(stream, settings);
    const from = { transport, responder: HTTP_1_RESPONDER, encrypted: isEncrypted(stream), raw: undefined };
    const { signal } = options;
    const abort = (): void => {
      const error = serverError("SERVER_CLOSING", "its signal was aborted", { cause: signal?.reason });
      accepting.fail(new RefusedError(error));
    };
    const forget = onAbort(signal, abort);
    const accepting = new Accepting(transport, admission, settings, from, {
      accepted: (_, { driver, request }) => {
        forget();
        publishOpen(driver.connection, "server", request);
        resolve(driver.connection);
      },
      failed: (_, error) => {
        forget();
        reject(error);
      },
    });
    if (signal?.aborted === true) abort();
    else if (!settings.memory.admits()) accepting.fail(refusedForNow(serverError("SERVER_OVERLOADED")));
    else accepting.begin();
  });
}
