import { seededRandom } from "tungstate/testing";

/** Hashes a text with 32-bit FNV-1a, which is sufficient for a seed. */
export function hashOf(text: string | Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ (typeof text === "string" ? text.charCodeAt(at) : (text[at] ?? 0)), 0x01000193);
  }
  return hash >>> 0;
}

/** Choices determined by a seed. */
export class Random {
  private readonly next: () => number;

  constructor(seed: number) {
    this.next = seededRandom(seed);
  }

  /** Returns 0 to `below - 1`. */
  integer(below: number): number {
    return Math.floor(this.next() * below);
  }

  chance(of: number): boolean {
    return this.next() < of;
  }

  pick<T>(from: readonly [T, ...T[]] | readonly T[]): T {
    const picked = from[this.integer(from.length)];
    if (picked === undefined) throw new RangeError("cannot choose from an empty list");
    return picked;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.integer(256));
  }

  /** Returns a length: mostly small, sometimes at a limit. */
  length(most: number): number {
    const kind = this.integer(8);
    const length =
      kind === 0
        ? this.pick([0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 1000, 1001, 65_535, 65_536])
        : kind === 1
          ? this.integer(most + 1)
          : this.integer(20);
    return Math.min(length, most);
  }
}
