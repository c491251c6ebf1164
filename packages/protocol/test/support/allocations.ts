import { primitives, usePrimitives } from "../../src/bytes/primitives.ts";

/**
 * Counts the bytes allocated while `run` runs. What is allocated holds no zeros, as with a runtime that does not clear memory:
 * whoever reads before writing is found out.
 */
export function allocatedBy(run: (allocated: () => number) => void): number {
  const { allocate } = primitives;
  let total = 0;
  usePrimitives({
    allocate: (size) => {
      total += size;
      return new Uint8Array(size).fill(0xdb);
    },
  });
  try {
    run(() => total);
  } finally {
    usePrimitives({ allocate });
  }
  return total;
}
