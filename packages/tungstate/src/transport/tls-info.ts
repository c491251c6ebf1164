/** What was agreed on. */
export interface TlsInfo {
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly protocol: string;
  /** The cipher suite's name in the standards (`TLS_AES_128_GCM_SHA256`). */
  readonly cipher: string;
  /** What the server chose by ALPN; undefined if it did not choose. */
  readonly alpn: string | undefined;
  /** The name sent in SNI; undefined for an IP address, which is never sent (RFC 6066 §3). */
  readonly servername: string | undefined;
  /** Whether an earlier session went on: no certificate was sent, none was verified anew. */
  readonly resumed: boolean;
  /** False only with `rejectUnauthorized: false`. */
  readonly authorized: boolean;
}
