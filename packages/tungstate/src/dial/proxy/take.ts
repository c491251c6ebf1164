import type { Duplex } from "node:stream";
import { connectError, type ConnectErrorOptions } from "../../errors.ts";
import { abortable, asError } from "../../schedule/abortable.ts";

/**
 * Reads from a stream until `parse` returns a result. `parse` is called with each chunk; its result
 * carries the bytes after the message, which are put back into the stream. It returns undefined
 * while it needs more. Rejects with what `parse` throws.
 */
export function take<T>(
  stream: Duplex,
  parse: (chunk: Buffer) => { readonly result: T; readonly rest: Buffer } | undefined,
  signal: AbortSignal,
  options: ConnectErrorOptions,
): Promise<T> {
  return abortable<T>(
    signal,
    (resolve, reject) => {
      const stop = (): void => {
        stream.off("readable", onReadable);
        stream.off("end", onEnd);
        stream.off("close", onEnd);
        stream.off("error", onError);
      };
      const onReadable = (): void => {
        for (;;) {
          const chunk = stream.read() as Buffer | null;
          if (chunk === null) return;
          let done: ReturnType<typeof parse>;
          try {
            done = parse(chunk);
          } catch (error) {
            stop();
            reject(asError(error));
            return;
          }
          if (done === undefined) continue;
          stop();
          if (done.rest.length > 0) stream.unshift(done.rest);
          resolve(done.result);
          return;
        }
      };
      const onEnd = (): void => {
        stop();
        reject(connectError("PROXY_FAILED", "it closed the connection", options));
      };
      const onError = (cause: Error): void => {
        stop();
        reject(connectError("PROXY_FAILED", cause.message, { ...options, cause }));
      };
      stream.on("readable", onReadable);
      stream.on("end", onEnd);
      stream.on("close", onEnd);
      stream.on("error", onError);
      if (stream.destroyed) onEnd();
      return stop;
    },
    options,
  );
}
