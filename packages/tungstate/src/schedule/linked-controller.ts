import { onAbort } from "./abort-signal.ts";

/** An AbortController that is aborted when its parent signal is. */
export interface LinkedController {
  readonly signal: AbortSignal;
  readonly abort: (reason: unknown) => void;
  /**
   * Removes the listener on the parent. Call it when the work is done: a signal that lives long
   * must not collect listeners.
   */
  readonly unlink: () => void;
}

export function linkedController(parent: AbortSignal | undefined): LinkedController {
  const controller = new AbortController();
  if (parent?.aborted === true) controller.abort(parent.reason);
  const unlink = onAbort(parent, () => controller.abort(parent?.reason));
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    unlink,
  };
}
