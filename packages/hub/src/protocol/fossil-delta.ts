// Deltas in the format of the Fossil version control system
// (https://fossil-scm.org/home/doc/tip/www/delta_format.wiki): the size of the target, a newline,
// then segments, each a copy "length@offset," from the source or a literal "length:bytes", and at
// the end "checksum;". Numbers are in base 64 with the digits below.

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
/** The source is indexed by every block of this many bytes. */
const BLOCK = 16;
/** Blocks with the same hash that are compared: bounds the work, whatever source and target are. */
const MAX_CANDIDATES = 8;
/** A copy costs up to 12 bytes itself: "length@offset," in a source of up to 16 MiB. */
const SHORTEST_COPY = 16;
const HASH_FACTOR = 0x01000193;

/**
 * A delta that makes `target` of `source`, both UTF-8. Its segments begin and end between
 * characters, so that it is UTF-8 too. Time is linear in the two sizes.
 */
export function createDelta(source: Uint8Array, target: Uint8Array): string {
  const delta = new DeltaText(target);
  const shared = Math.min(source.length, target.length);
  let prefix = 0;
  while (prefix < shared && source[prefix] === target[prefix]) prefix++;
  prefix = boundaryBefore(target, prefix);
  if (prefix < SHORTEST_COPY) prefix = 0;
  let suffix = 0;
  while (suffix < shared - prefix && source[source.length - 1 - suffix] === target[target.length - 1 - suffix])
    suffix++;
  while (suffix > 0 && isInsideCharacter(target, target.length - suffix)) suffix--;
  if (suffix < SHORTEST_COPY) suffix = 0;

  if (prefix > 0) delta.copy(0, prefix);
  const end = target.length - suffix;
  if (source.length >= BLOCK && end - prefix >= BLOCK) copyBlocks(source, target, prefix, end, delta);
  delta.literal(end);
  if (suffix > 0) delta.copy(source.length - suffix, suffix);
  return delta.finish();
}

/**
 * Adds copies for what of target[from..to) is somewhere in the source; leaves what comes behind the
 * last one.
 */
function copyBlocks(source: Uint8Array, target: Uint8Array, from: number, to: number, delta: DeltaText): void {
  const index = new BlockIndex(source);
  let leaving = 1; // what the factor has become for the byte that leaves the window
  for (let i = 1; i < BLOCK; i++) leaving = Math.imul(leaving, HASH_FACTOR);
  let at = from;
  let done = from; // literals start here
  let hash = hashOf(target, at);
  while (at + BLOCK <= to) {
    let best = 0; // length
    let bestSource = 0;
    let bestTarget = 0;
    let block = index.first(hash);
    for (let tries = 0; block >= 0 && tries < MAX_CANDIDATES; tries++, block = index.next(block)) {
      let sourceStart = block * BLOCK;
      let start = at;
      let sourceEnd = sourceStart;
      let stop = at;
      while (sourceEnd < source.length && stop < to && source[sourceEnd] === target[stop]) {
        sourceEnd++;
        stop++;
      }
      if (stop - at < BLOCK) continue; // another block with the same hash
      while (sourceStart > 0 && start > done && source[sourceStart - 1] === target[start - 1]) {
        sourceStart--;
        start--;
      }
      while (isInsideCharacter(target, start)) {
        start++;
        sourceStart++;
      }
      const length = boundaryBefore(target, stop) - start;
      if (length > best) {
        best = length;
        bestSource = sourceStart;
        bestTarget = start;
      }
    }
    if (best >= SHORTEST_COPY) {
      delta.literal(bestTarget);
      delta.copy(bestSource, best);
      done = at = bestTarget + best;
      if (at + BLOCK <= to) hash = hashOf(target, at);
    } else {
      if (at + BLOCK < to) {
        const left = Math.imul(target[at] ?? 0, leaving);
        hash = (Math.imul(hash - left, HASH_FACTOR) + (target[at + BLOCK] ?? 0)) | 0;
      }
      at++;
    }
  }
}

/** Where the blocks of the source are, by their hash. */
class BlockIndex {
  private readonly heads: Int32Array;
  /** Of each block, the one before with the same place in `heads`. */
  private readonly links: Int32Array;
  private readonly mask: number;

  constructor(source: Uint8Array) {
    const blocks = Math.floor(source.length / BLOCK);
    const size = 2 ** Math.ceil(Math.log2(blocks * 2));
    this.mask = size - 1;
    this.heads = new Int32Array(size).fill(-1);
    this.links = new Int32Array(blocks).fill(-1);
    // backwards, so that the first of several comes first
    for (let block = blocks - 1; block >= 0; block--) {
      const place = spread(hashOf(source, block * BLOCK)) & this.mask;
      this.links[block] = this.heads[place] ?? -1;
      this.heads[place] = block;
    }
  }

  first(hash: number): number {
    return this.heads[spread(hash) & this.mask] ?? -1;
  }

  next(block: number): number {
    return this.links[block] ?? -1;
  }
}

/** The hash of the block at `at`: a polynomial, so that it can be rolled on by a byte. */
function hashOf(bytes: Uint8Array, at: number): number {
  let hash = 0;
  for (let i = at; i < at + BLOCK; i++) hash = (Math.imul(hash, HASH_FACTOR) + (bytes[i] ?? 0)) | 0;
  return hash;
}

/** Brings the upper bits of a hash down to where the table looks. */
function spread(hash: number): number {
  return hash ^ (hash >>> 15);
}

/** Whether the byte at `at` goes on with a character (RFC 3629 §3: 10xxxxxx). */
function isInsideCharacter(bytes: Uint8Array, at: number): boolean {
  return ((bytes[at] ?? 0) & 0xc0) === 0x80;
}

/** `at`, or the start of the character that it is inside of. */
function boundaryBefore(bytes: Uint8Array, at: number): number {
  while (isInsideCharacter(bytes, at)) at--;
  return at;
}

class DeltaText {
  private readonly target: Uint8Array;
  private text: string;
  /** How much of the target there is. */
  private at = 0;

  constructor(target: Uint8Array) {
    this.target = target;
    this.text = `${toBase64(target.length)}\n`;
  }

  copy(offset: number, length: number): void {
    this.text += `${toBase64(length)}@${toBase64(offset)},`;
    this.at += length;
  }

  /** The target's own bytes up to `end`. */
  literal(end: number): void {
    if (end === this.at) return;
    const bytes = this.target.subarray(this.at, end);
    this.text += `${toBase64(bytes.length)}:${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()}`;
    this.at = end;
  }

  finish(): string {
    return `${this.text}${toBase64(checksum(this.target))};`;
  }
}

function toBase64(value: number): string {
  let digits = "";
  do {
    digits = DIGITS.charAt(value & 63) + digits;
    value >>>= 6;
  } while (value > 0);
  return digits;
}

/** The sum of the target as big-endian 32-bit words, zeros behind it. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum = (sum + ((bytes[i] ?? 0) << (24 - 8 * (i & 3)))) | 0;
  return sum >>> 0;
}
