import type { Certificate } from "../tls/certificate.ts";

/** A running server of one or several processes. */
export interface RunningServer {
  readonly url: string;
  /** Uses another certificate for new connections. */
  setCertificate(certificate: Certificate): void;
  /**
   * Stops accepting connections and closes all open ones. Connections that are still open after
   * `timeout` ms are terminated.
   */
  close(timeout: number): Promise<void>;
}
