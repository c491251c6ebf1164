/** What a budget counts at this moment, and has done. */
export interface MemoryUse {
  /** Bytes that may be held; Infinity for no limit. */
  readonly limit: number;
  /** Bytes that are held, by connections and by parts. */
  readonly held: number;
  /** The most that was held. */
  readonly peak: number;
  /** Connections and parts that hold something. */
  readonly holders: number;
  /** Whether the budget is short: handshakes are refused, and receive queues are emptied before more is read into them. */
  readonly short: boolean;
  /** Connections that were ended because the limit was passed. */
  readonly ended: number;
  /** Bytes by the name of the part that holds them. Connections hold the rest of `held`. */
  readonly parts: Readonly<Record<string, number>>;
}
