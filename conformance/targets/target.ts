export interface TargetServer {
  readonly port: number;
  close(): Promise<void>;
}

/** An implementation under test. */
export interface Target {
  readonly name: string;
  /** Starts a server on a free port of 127.0.0.1 that sends each message at /echo back as it is. */
  startServer(): Promise<TargetServer>;
  /**
   * Connects, sends each message back as it is, and resolves when the connection has ended, however it ended. Rejects when
   * there was no handshake. `signal` ends it at once.
   */
  runClient(url: string, signal: AbortSignal): Promise<void>;
}
