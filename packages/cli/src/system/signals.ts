const SAME_SIGNAL_MS = 1_000;

const SIGNALS = ["SIGINT", "SIGTERM"] as const;
export type StopSignal = (typeof SIGNALS)[number];

/**
 * Calls `first` for the first SIGINT or SIGTERM and `again` for each later one. A signal within a
 * second of the first is ignored: both a shell and npm forward Ctrl+C. Returns a function that
 * removes the listeners.
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
