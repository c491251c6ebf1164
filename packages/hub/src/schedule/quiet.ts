/**
 * A function of the application that neither throws nor rejects: what it throws, or what a promise
 * of it rejects with, goes to `onError`.
 */
export function quiet<Args extends unknown[]>(
  callback: (...args: Args) => unknown,
  onError: (error: unknown) => void,
): (...args: Args) => void {
  return (...args) => {
    try {
      const result = callback(...args);
      // of any kind: a promise of another realm that rejects unheard would end the process, too
      if (typeof result === "object" && result !== null) Promise.resolve(result).catch(onError);
    } catch (error) {
      onError(error);
    }
  };
}
