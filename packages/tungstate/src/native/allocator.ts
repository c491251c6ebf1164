/** Size from which an array counts as large, in bytes. */
const LARGE = 16 * 1024;
/** Bytes of large arrays after which freed memory is kept. */
const MANY = 8 * 1024 * 1024;
/** The largest block, in bytes, whose release makes glibc raise its limits (DEFAULT_MMAP_THRESHOLD_MAX, less a page and a header). */
const LARGEST_RAISING = 32 * 1024 * 1024 - 64 * 1024;

/**
 * Returns a function that returns uninitialised arrays. From the 8 MiB on that it has allocated as large arrays, freed memory stays with the process.
 *
 * V8 frees the arrays of dropped messages after about 32 MiB of them. glibc by default returns such memory to the system, and maps arrays of more
 * than 128 KiB anew each time. The pages of the next messages are then zeroed and mapped one by one, which costs as much as copying them twice.
 * When glibc frees a mapped block, it serves blocks of that size from its heap from then on, and keeps twice as much free memory (mallopt(3),
 * M_MMAP_THRESHOLD and M_TRIM_THRESHOLD). So one block of 32 MiB, which is never touched, is allocated and dropped. The environment variables
 * MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ turn this off in glibc.
 */
export function newAllocator(keep: () => void = keepFreedMemory): (size: number) => Uint8Array {
  let left = MANY;
  return (size) => {
    if (size >= LARGE && left > 0) {
      left -= size;
      if (left <= 0) keep();
    }
    return Buffer.allocUnsafeSlow(size);
  };
}

function keepFreedMemory(): void {
  if (process.platform !== "linux") return;
  const { buffer } = Buffer.allocUnsafeSlow(LARGEST_RAISING);
  // frees the block at once from Node.js 22 on; earlier ones leave it to the next garbage collection
  const transfer: unknown = Reflect.get(buffer, "transfer");
  if (typeof transfer === "function") Reflect.apply(transfer, buffer, [0]);
}
