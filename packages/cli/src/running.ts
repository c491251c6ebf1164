import type { Certificate } from "./certificate.ts";

/** What serves: one process, or several. */
export interface Running {
  readonly url: string;
  /** Shows another certificate from now on. */
  setCertificate(certificate: Certificate): void;
  /** Drains: nobody new; whoever is still there after `timeout` ms is dropped. */
  close(timeout: number): Promise<void>;
}
