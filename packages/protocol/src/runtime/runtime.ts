import type { Primitives } from "../bytes/primitives.ts";
import { Memory } from "./memory.ts";

/** Returns what the runtime consists of. For the files of this package. */
export let memoryOf: (runtime: Runtime) => Memory;

/**
 * Everything that connections share: the platform's functions, recycled memory and caches. Make one
 * for a process and pass it to all its connections. Two runtimes share nothing.
 */
export class Runtime {
  readonly #memory: Memory;

  static {
    memoryOf = (runtime) => runtime.#memory;
  }

  /** `native`: functions of the platform that replace the portable ones. Default none. */
  constructor(native: Partial<Primitives> = {}) {
    this.#memory = new Memory(native);
  }

  /** The functions in use. */
  get primitives(): Primitives {
    return this.#memory.primitives;
  }
}
