const QUIET = 10_000; // ms without an error, after which the next one is a new incident
const MAX_INCIDENTS = 100;

interface Incident {
  lastAt: number;
  /** Errors since the one that was reported. */
  repeats: number;
}

/**
 * Reports an error once per incident: errors with the same message belong to one incident until
 * none has come for 10 s.
 */
export class Incidents {
  private readonly report: (error: Error, repeats: number) => void;
  private readonly now: () => number;
  /** By message. */
  private readonly incidents = new Map<string, Incident>();

  /** `report` receives an error and how often it was repeated in the incident before. `now`: ms. */
  constructor(report: (error: Error, repeats: number) => void, now: () => number = () => performance.now()) {
    this.report = report;
    this.now = now;
  }

  add(error: Error): void {
    const now = this.now();
    const known = this.incidents.get(error.message);
    if (known !== undefined && now - known.lastAt < QUIET) {
      known.lastAt = now;
      known.repeats++;
      return;
    }
    this.incidents.delete(error.message);
    const [oldest] = this.incidents.keys();
    if (this.incidents.size >= MAX_INCIDENTS && oldest !== undefined) this.incidents.delete(oldest);
    this.incidents.set(error.message, { lastAt: now, repeats: 0 });
    this.report(error, known?.repeats ?? 0);
  }
}
