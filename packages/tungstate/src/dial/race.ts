import { WebSocketError } from "@tungstate/protocol";
import { onAbort } from "../schedule/abort-signal.ts";
import { abortedError, connectError, furthest } from "../errors.ts";
import { asError } from "../schedule/abortable.ts";
import { linkedController, type LinkedController } from "../schedule/linked-controller.ts";

export interface RaceOptions<T> {
  /**
   * Delay in ms until the next candidate starts beside one that is still running; Infinity: one
   * after the other.
   */
  readonly stagger: number;
  readonly signal: AbortSignal;
  /** Disposes of the result of a candidate that succeeds after another one has won. */
  readonly discard: (late: T) => void;
}

export type RaceResult<T, E> =
  { readonly won: true; readonly value: T } | { readonly won: false; readonly failures: readonly E[] };

/**
 * Tries the candidates in order. The next one starts when the last has failed, or after `stagger`
 * ms (RFC 8305 §5). The first success wins; the signals of the others are aborted, and they must
 * settle then. `failed` turns an attempt's error into an entry of the result, or throws to end the
 * race.
 *
 * Rejects with what `failed` threw, and when `signal` is aborted: with the error of the running
 * attempt, which knows its address.
 */
export function race<C, T, E>(
  candidates: readonly C[],
  attempt: (candidate: C, signal: AbortSignal) => Promise<T>,
  failed: (error: unknown, candidate: C) => E,
  options: RaceOptions<T>,
): Promise<RaceResult<T, E>> {
  const { stagger, signal, discard } = options;
  const running = new Map<LinkedController, Promise<T>>();
  const failures: E[] = [];
  let over = false;
  let next = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  return new Promise((resolve, reject) => {
    const finish = (reason: unknown): void => {
      over = true;
      clearTimeout(timer);
      forget();
      for (const controller of running.keys()) {
        controller.abort(reason);
        controller.unlink();
      }
    };
    const abort = (): void => {
      finish(signal.reason);
      void Promise.allSettled(running.values()).then((outcomes) => {
        const ended = outcomes.flatMap((outcome): unknown[] => (outcome.status === "rejected" ? [outcome.reason] : []));
        reject(furthest(ended.filter((error) => error instanceof WebSocketError)) ?? abortedError(signal));
      });
    };
    const begin = (): void => {
      clearTimeout(timer);
      const candidate = candidates[next];
      if (next >= candidates.length) {
        if (running.size > 0) return;
        finish(undefined);
        resolve({ won: false, failures });
        return;
      }
      next++;
      const controller = linkedController(signal);
      const left = (): void => {
        running.delete(controller);
        controller.unlink();
      };
      if (Number.isFinite(stagger) && next < candidates.length) timer = setTimeout(begin, stagger);
      const attempting = attempt(candidate, controller.signal);
      running.set(controller, attempting);
      attempting.then(
        (value) => {
          if (over) {
            discard(value);
            return;
          }
          left();
          finish(running.size > 0 ? connectError("ABORTED", "another attempt was faster") : undefined);
          resolve({ won: true, value });
        },
        (error: unknown) => {
          if (over) return;
          left();
          try {
            failures.push(failed(error, candidate));
          } catch (notOurs) {
            finish(notOurs);
            reject(asError(notOurs));
            return;
          }
          begin();
        },
      );
    };
    if (signal.aborted) {
      reject(abortedError(signal));
      return;
    }
    const forget = onAbort(signal, abort);
    begin();
  });
}
