import { QuotaExceededError } from "../broker/broker.ts";
import { kindOf, StoreFullError } from "./refusals.ts";
import type { Server } from "./server.ts";

const CHECK_INTERVAL = 250; // ms between two requests to a server while publications are stored there
const DENIED_INTERVAL = 60_000; // ms, if the user has no permission to ask
const DEFAULT_SHARE = 3 / 4; // of maxmemory
const CONSEQUENCE = "publications with history are refused until less is kept";

interface Checked {
  /** Time of the next request to the server. */
  nextAt: number;
  isAsking: boolean;
  /** Why publications with history are rejected; undefined: they are not. */
  message: string | undefined;
}

/**
 * Rejects publications with history while a Redis uses more memory than its quota. At the limit of
 * Redis itself (`maxmemory`), every write fails, presence and positions included. The memory use is
 * read at intervals while there are publications.
 */
export class MemoryQuota {
  private readonly limit: number | undefined;
  private readonly now: () => number;
  private readonly checked = new WeakMap<Server, Checked>();

  /** `limit`: bytes; undefined: three quarters of `maxmemory`. */
  constructor(limit: number | undefined, now = () => performance.now()) {
    this.limit = limit;
    this.now = now;
  }

  /** Returns the error for a publication with history; undefined if it is allowed. */
  refusal(server: Server): QuotaExceededError | undefined {
    if (this.limit === Infinity) return undefined;
    let checked = this.checked.get(server);
    if (checked === undefined) {
      checked = { nextAt: -Infinity, isAsking: false, message: undefined };
      this.checked.set(server, checked);
    }
    if (!checked.isAsking && this.now() >= checked.nextAt) void this.check(server, checked);
    return checked.message === undefined ? undefined : new QuotaExceededError(checked.message);
  }

  private async check(server: Server, checked: Checked): Promise<void> {
    checked.isAsking = true;
    try {
      const info = String(await server.ask("INFO", "memory"));
      const used = field(info, "used_memory");
      const maxmemory = field(info, "maxmemory");
      const limit = this.limit ?? (maxmemory > 0 ? maxmemory * DEFAULT_SHARE : Infinity);
      checked.nextAt = this.now() + CHECK_INTERVAL;
      // clients get this message, so it does not name the server
      const uses = `uses ${used} bytes of memory, and may use ${Math.floor(limit)}: ${CONSEQUENCE}`;
      checked.message = used < limit ? undefined : `Redis ${uses}`;
      if (checked.message !== undefined) server.reportFull(`Redis at ${server.name} ${uses}`);
    } catch (error) {
      // a lost connection is reported elsewhere; without permission to ask, there is no quota
      const isDenied = error instanceof Error && kindOf(error) === "NOPERM";
      checked.nextAt = this.now() + (isDenied ? DENIED_INTERVAL : CHECK_INTERVAL);
      checked.message = undefined;
    }
    checked.isAsking = false;
  }
}

/** 0: no limit. */
function field(info: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1] ?? 0);
}

/** Returns the error for a failed publication: a QuotaExceededError if the server is full. */
export function publicationError(error: unknown): unknown {
  if (!(error instanceof StoreFullError)) return error;
  return new QuotaExceededError(`Redis is full: ${CONSEQUENCE}`, { cause: error });
}
