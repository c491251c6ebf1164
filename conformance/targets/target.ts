export interface TargetServer {
  readonly port: number;
  close(): Promise<void>;
}

/** An implementation under test. */
export interface Target {
  readonly name: string;
  /** The target whose golden files it has to match. Default: it has its own. */
  readonly golden?: string;
  /** Starts a server on a free port of 127.0.0.1 that echoes each message at /echo. */
  startServer(): Promise<TargetServer>;
  /**
   * Connects and echoes each message. Resolves when the connection has ended in any way. Rejects if
   * the handshake failed. `signal` aborts it.
   */
  runClient(url: string, signal: AbortSignal): Promise<void>;
}
