import { connectError } from "../errors.ts";
import { abortable, asError, linkedController, type LinkedController } from "./abort.ts";

export interface RaceOptions<T> {
  /** Milliseconds after which the next candidate is begun although the last one is still trying; Infinity: one after the other. */
  readonly stagger: number;
  readonly signal: AbortSignal;
  /** Takes back what a candidate brings although another one has won. */
  readonly discard: (late: T) => void;
}

export type RaceResult<T, E> =
  { readonly won: true; readonly value: T } | { readonly won: false; readonly failures: readonly E[] };

/**
 * Tries the candidates in order: the next is begun as soon as the last has failed, or after `stagger` milliseconds (RFC 8305
 * §5). The first that succeeds wins; the signals of the others are aborted. Rejects only when `signal` is aborted.
 */
export function race<C, T, E>(
  candidates: readonly C[],
  attempt: (candidate: C, signal: AbortSignal) => Promise<T>,
  failed: (error: unknown, candidate: C) => E,
  options: RaceOptions<T>,
): Promise<RaceResult<T, E>> {
  const { stagger, discard } = options;
  const running = new Set<LinkedController>();
  const failures: E[] = [];
  let over = false;
  let next = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const finish = (reason: unknown): void => {
    over = true;
    clearTimeout(timer);
    for (const controller of running) {
      controller.abort(reason);
      controller.unlink();
    }
    running.clear();
  };

  return abortable<RaceResult<T, E>>(options.signal, (resolve, reject) => {
    const begin = (): void => {
      clearTimeout(timer);
      const candidate = candidates[next];
      if (next >= candidates.length) {
        if (running.size === 0) resolve({ won: false, failures });
        return;
      }
      next++;
      const controller = linkedController(options.signal);
      running.add(controller);
      if (Number.isFinite(stagger) && next < candidates.length) timer = setTimeout(begin, stagger);
      attempt(candidate, controller.signal).then(
        (value) => {
          if (over) {
            discard(value);
            return;
          }
          running.delete(controller);
          controller.unlink();
          finish(connectError("ABORTED", "another attempt was faster"));
          resolve({ won: true, value });
        },
        (error: unknown) => {
          if (over) return;
          running.delete(controller);
          controller.unlink();
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
    begin();
    return () => finish(options.signal.reason);
  });
}
