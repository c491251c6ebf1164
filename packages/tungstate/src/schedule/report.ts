import { describe } from "../options/describe.ts";

/**
 * Reports an error of the application that no caller and no listener gets: as a process warning
 * where there are such (Node.js, Bun, Deno), otherwise as the platform reports uncaught exceptions.
 */
export function reportHandlerError(error: unknown): void {
  const { process, reportError }: Partial<Platform> = globalThis as object;
  if (typeof process?.emitWarning === "function") {
    process.emitWarning(error instanceof Error ? error : describe(error), "TungstateHandlerWarning");
  } else reportError?.(error);
}

interface Platform {
  readonly process: { emitWarning?(warning: Error | string, name: string): void };
  reportError(error: unknown): void;
}
