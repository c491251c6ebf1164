/** Size from which an array counts as large, in bytes. */
const LARGE = 16 * 1024;
/** Bytes of large arrays after which freed memory is kept. */
const MANY = 8 * 1024 * 1024;
/**
 * The largest block, in bytes, whose release makes glibc raise its limits
 * (DEFAULT_MMAP_THRESHOLD_MAX, less a page and a header).
 */
const LARGEST_RAISING = 32 * 1024 * 1024 - 64 * 1024;

/**
 * Returns a function that allocates uninitialised arrays. After 8 MiB of large arrays, freed memory
 * stays with the process.
 *
 * V8 frees the arrays of dropped messages after about 32 MiB of them. By default, glibc returns
 * such memory to the system, and maps each array of more than 128 KiB anew. The kernel then zeroes
 * and maps the pages of the next messages one by one, which takes as much time as copying them
 * twice. When glibc frees a mapped block, it allocates later blocks of that size from its heap, and
 * keeps twice as much free memory (mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD). This
 * function therefore allocates one block of 32 MiB, which is never written to, and drops it. The
 * environment variables MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ turn this off in glibc.
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
  // Node.js 22 and later free the block at once, earlier versions at the next garbage collection
  const transfer: unknown = Reflect.get(buffer, "transfer");
  if (typeof transfer === "function") Reflect.apply(transfer, buffer, [0]);
}
