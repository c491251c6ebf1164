const SAME_SIGNAL_MS = 1_000;

const SIGNALS = ["SIGINT", "SIGTERM"] as const;
export type StopSignal = (typeof SIGNALS)[number];

/**
 * Calls `first` for the first SIGINT or SIGTERM and `again` for the next one. A shell and npm both pass on a Ctrl+C: a signal within a second of
 * the first one is the same. Returns a function that takes the listeners off.
 */
export function onStopSignals(call: {
  readonly first: (signal: StopSignal) => void;
  readonly again: (signal: StopSignal) => void;
}): () => void {
  let since: number | undefined;
  const onSignal = (signal: StopSignal): void => {
    if (since === undefined) {
      since = performance.now();
      call.first(signal);
    } else if (performance.now() - since > SAME_SIGNAL_MS) call.again(signal);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
}
