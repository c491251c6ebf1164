import { argumentError } from "@tungstate/protocol/internal";
import { availableMemory } from "../native/platform.ts";
import { type BudgetEntry, MemoryLedger } from "./memory-ledger.ts";
import type { MemoryUse } from "./memory-use.ts";

/** Options of `MemoryBudget.part`. */
export interface MemoryPartOptions {
  /** As `BudgetEntry.release`. Default: nothing is released. */
  readonly release?: (excess: number) => number;
  /** Whether this is a cache: it releases memory before handshakes are rejected. Default false. */
  readonly cache?: boolean;
}

/**
 * Memory that belongs to no single connection, such as the history of a hub. It is counted in a
 * budget under a name.
 */
export interface MemoryPart {
  /** The name in `MemoryUse.parts` and in metrics. */
  readonly name: string;
  /** Number of bytes counted. */
  readonly held: number;
  /** Sets the number of bytes of the part. */
  set(bytes: number): void;
  /** Changes the number of bytes of the part. */
  add(bytes: number): void;
}

/** A part as an entry of the ledger. */
class PartEntry implements BudgetEntry {
  held = 0;
  before: BudgetEntry | undefined;
  after: BudgetEntry | undefined;
  readonly name: string;
  readonly isCache: boolean;
  private readonly releaseMemory: ((excess: number) => number) | undefined;

  constructor(name: string, { release, cache = false }: MemoryPartOptions) {
    this.name = name;
    this.isCache = cache;
    this.releaseMemory = release;
  }

  release(excess: number): number {
    return this.releaseMemory?.(excess) ?? 0;
  }
}

class Part implements MemoryPart {
  readonly #ledger: MemoryLedger;
  readonly #entry: PartEntry;

  constructor(ledger: MemoryLedger, entry: PartEntry) {
    this.#ledger = ledger;
    this.#entry = entry;
  }

  get name(): string {
    return this.#entry.name;
  }

  get held(): number {
    return this.#entry.held;
  }

  set(bytes: number): void {
    this.#ledger.hold(this.#entry, bytes);
  }

  add(bytes: number): void {
    this.#ledger.hold(this.#entry, this.#entry.held + bytes);
  }
}

/** Returns the ledger of a budget. */
export let ledgerOf: (budget: MemoryBudget) => MemoryLedger;

/**
 * Limits the memory of many connections together: receive queues, incomplete messages, messages
 * that wait for compression or decompression, and output that the system has not accepted. Parts
 * count memory that belongs to no connection: history and queues of a hub, bodies of requests.
 * Above three quarters of the limit, caches release the excess. If that is not enough, servers
 * reject handshakes with 503, and a receive queue is filled again only when it is empty. Above the
 * limit, the connections and parts that use the most memory are closed with 1013 or release theirs,
 * until seven eighths are in use. A broadcast message counts for each connection that has not sent
 * it yet.
 */
export class MemoryBudget {
  readonly #ledger: MemoryLedger;

  static {
    ledgerOf = (budget) => budget.#ledger;
  }

  /** `limit`: an integer of at least 1 in bytes, or Infinity. Throws INVALID_ARGUMENT. */
  constructor(limit: number) {
    if (!(limit === Infinity || (Number.isSafeInteger(limit) && limit > 0))) {
      throw argumentError(
        TypeError,
        `memoryBudget must be an integer of at least 1 (bytes), or Infinity, got ${String(limit)}`,
      );
    }
    this.#ledger = new MemoryLedger(limit);
  }

  /** The limit in bytes. */
  get limit(): number {
    return this.#ledger.limit;
  }

  /** The use of the budget at this moment. */
  get use(): MemoryUse {
    return this.#ledger.use;
  }

  /** Whether new handshakes are rejected at the moment. */
  get underPressure(): boolean {
    return this.#ledger.underPressure;
  }

  /** Creates a part of this budget, under a name for the metrics. */
  part(name: string, options: MemoryPartOptions = {}): MemoryPart {
    return new Part(this.#ledger, new PartEntry(name, options));
  }
}

/**
 * The budget of all connections without a `memoryBudget` of their own: half of the memory that the
 * process may use.
 */
export const sharedMemoryBudget = new MemoryBudget(Math.floor(availableMemory() / 2));
