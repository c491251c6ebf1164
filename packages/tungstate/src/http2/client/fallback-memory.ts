import type { Clock } from "../../schedule/clock.ts";

/**
 * The servers that have HTTP/1.1 only, as far as it is known. The oldest entry is evicted first.
 */
export class FallbackMemory {
  private readonly clock: Clock;
  private readonly time: number;
  private readonly max: number;
  /** When each entry expires, in ms on the clock; the oldest first. */
  private readonly entries = new Map<string, number>();

  /** `time`: age in ms at which an entry expires. `max`: number of entries. */
  constructor(clock: Clock, time: number, max: number) {
    this.clock = clock;
    this.time = time;
    this.max = max;
  }

  has(key: string): boolean {
    const expires = this.entries.get(key);
    if (expires === undefined) return false;
    if (expires > this.clock.now()) return true;
    this.entries.delete(key);
    return false;
  }

  add(key: string): void {
    this.entries.delete(key);
    this.entries.set(key, this.clock.now() + this.time);
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= this.max) break;
      this.entries.delete(oldest);
    }
  }
}
