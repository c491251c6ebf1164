import { collectYoungGeneration } from "./young-generation.ts";

/** Size from which an array counts as large, in bytes. */
const LARGE = 16 * 1024;
/** Bytes of large arrays between two collections of the young generation. */
const MANY = 8 * 1024 * 1024;
/**
 * The largest block, in bytes, whose release makes glibc raise its limits
 * (DEFAULT_MMAP_THRESHOLD_MAX, less a page and a header).
 */
const LARGEST_RAISING = 32 * 1024 * 1024 - 64 * 1024;

/**
 * Returns a function that allocates uninitialised arrays, and makes V8 and glibc reuse the memory of
 * dropped ones soon. `keep` and `collect` replace the functions that do so.
 *
 * **V8.** It frees dropped arrays when it collects the young generation: by itself after about 32
 * MiB of them. The next message then gets memory that has left the processor's caches. V8 also adds
 * these bytes to its old generation. When both together exceed the limit of that, 9 to 24 MiB above
 * a small heap, it collects all of the heap, which takes as much CPU time as the messages. So the
 * young generation is collected after each 8 MiB of large arrays.
 *
 * **glibc.** By default, it returns freed memory to the system, and maps each array of more than 128
 * KiB anew. The kernel then zeroes and maps the pages of the next messages one by one, which takes
 * as much time as copying them twice. When glibc frees a mapped block, it allocates later blocks of
 * that size from its heap, and keeps twice as much free memory (mallopt(3), M_MMAP_THRESHOLD and
 * M_TRIM_THRESHOLD). After the first 8 MiB, this function therefore allocates one block of 32 MiB,
 * which is never written to, and drops it. The environment variables MALLOC_MMAP_THRESHOLD_ and
 * MALLOC_TRIM_THRESHOLD_ turn this off in glibc.
 */
export function newAllocator(
  keep: () => void = keepFreedMemory,
  collect: () => void = collectYoungGeneration,
): (size: number) => Uint8Array {
  let allocated = 0;
  let isKept = false;
  return (size) => {
    if (size >= LARGE && (allocated += size) >= MANY) {
      allocated = 0;
      if (!isKept) {
        isKept = true;
        keep();
      }
      collect();
    }
    return Buffer.allocUnsafeSlow(size);
  };
}

function keepFreedMemory(): void {
  if (process.platform !== "linux") return;
  const { buffer } = Buffer.allocUnsafeSlow(LARGEST_RAISING);
  // Node.js 22 and later free the block at once, earlier versions at the next garbage collection
  const transfer: unknown = Reflect.get(buffer, "transfer");
  if (typeof transfer === "function") Reflect.apply(transfer, buffer, [0]);
}
