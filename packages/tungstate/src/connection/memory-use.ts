/** The use of a memory budget at one moment. */
export interface MemoryUse {
  /** Limit in bytes; Infinity for no limit. */
  readonly limit: number;
  /** Bytes in use by connections and parts. */
  readonly held: number;
  /** Highest value of `held`. */
  readonly peak: number;
  /** Number of connections and parts that use memory. */
  readonly entries: number;
  /**
   * Whether new handshakes are rejected at the moment. Receive queues are then emptied before more
   * is read into them.
   */
  readonly underPressure: boolean;
  /** Number of connections that were closed with OUT_OF_BUDGET. */
  readonly ended: number;
  /** Bytes by the name of the part that holds them. Connections hold the rest of `held`. */
  readonly parts: Readonly<Record<string, number>>;
}
