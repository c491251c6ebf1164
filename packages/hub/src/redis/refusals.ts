import { StoreUnavailableError } from "../broker/broker.ts";
import { HubError } from "../errors.ts";

const SAME_REFUSAL_INTERVAL = 10_000; // ms between two reports that a server refuses for the same reason

export const WRONG_TYPE = "WRONGTYPE";
const FULL = "OOM";

/** The meaning of error replies and what to do, by their first word. */
const MEANINGS: ReadonlyMap<string, string> = new Map([
  [FULL, "is full (maxmemory): raise maxmemory, or keep less history"],
  ["READONLY", "is a read-only replica: connect to the primary"],
  ["MISCONF", "does not write because it cannot save its data: see its log"],
  ["NOREPLICAS", "does not write because too few replicas are connected (min-replicas-to-write)"],
  ["MASTERDOWN", "is a replica that has lost its primary"],
  ["CLUSTERDOWN", "is in a cluster that has lost some of its slots"],
  ["LOADING", "is loading its data"],
  ["BUSY", "is busy with a script"],
  ["NOPERM", "does not allow the user what the hub needs: docs/redis.md lists the commands"],
  ["NOAUTH", "requires a password: add it to the URL"],
  [WRONG_TYPE, "has something else under a key of the hub's: choose another prefix, or delete the key"],
]);

/** The error of Redis 7 for NOPERM of a command inside a script. */
const DENIED_IN_SCRIPT = /\bThe user executing the script can't /;

/** Error replies that tell the caller where a key is, or to send a script. */
const STEERING = ["MOVED", "ASK", "TRYAGAIN", "NOSCRIPT"];

/** A write was refused because the server uses its `maxmemory`. The server reports it. */
export class StoreFullError extends StoreUnavailableError {}

/**
 * Error replies of one server, as errors for the hub. The hub reports the first of a kind; those of
 * the same kind within the next 10 s are a StoreUnavailableError, which it does not report.
 */
export class Refusals {
  private readonly name: string;
  private readonly reportedAt = new Map<string, number>();

  constructor(name: string) {
    this.name = name;
  }

  /**
   * `error`: the error reply. A redirection is returned unchanged. `keys`: the keys that may have
   * the wrong type, if known.
   */
  of(error: unknown, keys: readonly string[] = []): unknown {
    if (!(error instanceof Error)) return error;
    const kind = kindOf(error);
    if (STEERING.includes(kind)) return error;
    const meaning = [MEANINGS.get(kind) ?? "refuses a command", ...keys.map((key) => JSON.stringify(key))].join(" ");
    const message = `Redis at ${this.name} ${meaning} (${error.message})`;
    if (kind === FULL) return new StoreFullError(message);
    if (!this.reports(kind)) return new StoreUnavailableError(message);
    this.reportedAt.set(kind, performance.now());
    return new HubError("STORE_REFUSED", message);
  }

  /** Whether a report that the server is full is due. The next one is due 10 s later. */
  takeFullReport(): boolean {
    if (!this.reports(FULL)) return false;
    this.reportedAt.set(FULL, performance.now());
    return true;
  }

  /** Whether the next error of a kind is one that the hub reports. */
  reports(kind: string): boolean {
    const at = this.reportedAt.get(kind);
    return at === undefined || performance.now() - at >= SAME_REFUSAL_INTERVAL;
  }
}

/** Returns the first word of an error reply, also for errors inside a script. */
export function kindOf({ message }: Error): string {
  return DENIED_IN_SCRIPT.test(message) ? "NOPERM" : (/\b([A-Z]{3,})\b/.exec(message)?.[1] ?? "");
}
