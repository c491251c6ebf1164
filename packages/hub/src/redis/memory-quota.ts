import { QuotaExceededError } from "../broker/broker.ts";
import type { Server } from "./server.ts";

const CHECK_INTERVAL = 250; // ms between two questions to a server while publications are kept there
const DENIED_INTERVAL = 60_000; // ms, where it did not answer
const REPORT_INTERVAL = 10_000; // ms between two reports that a server is full
const DEFAULT_SHARE = 3 / 4; // of maxmemory

interface Checked {
  /** When the server is asked again. */
  nextAt: number;
  isAsking: boolean;
  /** Why nothing more is kept; undefined: it is. */
  message: string | undefined;
  reportedAt: number;
}

/**
 * Refuses publications that are to be kept where a Redis uses more memory than it may: at the limit of Redis itself (`maxmemory`) every write
 * fails, presence and positions too. The memory is asked for now and then, as long as something is published.
 */
export class MemoryQuota {
  private readonly limit: number | undefined;
  private readonly onError: (error: Error) => void;
  private readonly now: () => number;
  private readonly checked = new WeakMap<Server, Checked>();

  /** `limit`: bytes; undefined: three quarters of `maxmemory`. */
  constructor(limit: number | undefined, onError: (error: Error) => void, now = () => performance.now()) {
    this.limit = limit;
    this.onError = onError;
    this.now = now;
  }

  /** The error for a publication that is to be kept at the server; undefined: it may be. */
  refusal(server: Server): QuotaExceededError | undefined {
    if (this.limit === Infinity) return undefined;
    let checked = this.checked.get(server);
    if (checked === undefined) {
      checked = { nextAt: -Infinity, isAsking: false, message: undefined, reportedAt: -Infinity };
      this.checked.set(server, checked);
    }
    if (!checked.isAsking && this.now() >= checked.nextAt) void this.check(server, checked);
    return checked.message === undefined ? undefined : new QuotaExceededError(checked.message);
  }

  private async check(server: Server, checked: Checked): Promise<void> {
    checked.isAsking = true;
    try {
      const info = String(await server.call("INFO", "memory"));
      const used = field(info, "used_memory");
      const maxmemory = field(info, "maxmemory");
      const limit = this.limit ?? (maxmemory > 0 ? maxmemory * DEFAULT_SHARE : Infinity);
      checked.nextAt = this.now() + CHECK_INTERVAL;
      checked.message = used < limit ? undefined : message(server.name, used, limit);
    } catch {
      // a server that is away says so elsewhere; one that may not be asked has no quota
      checked.nextAt = this.now() + DENIED_INTERVAL;
      checked.message = undefined;
    }
    checked.isAsking = false;
    if (checked.message === undefined || this.now() - checked.reportedAt < REPORT_INTERVAL) return;
    checked.reportedAt = this.now();
    this.onError(new Error(checked.message));
  }
}

/** 0: there is none. */
function field(info: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1] ?? 0);
}

function message(name: string, used: number, limit: number): string {
  const what = "publications with history are refused until less is kept";
  return `Redis at ${name} uses ${used} bytes of memory, and may use ${Math.floor(limit)}: ${what}`;
}
