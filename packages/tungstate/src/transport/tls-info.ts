/** The result of a TLS handshake. */
export interface TlsInfo {
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly protocol: string;
  /** Standard name of the cipher suite, such as `TLS_AES_128_GCM_SHA256`. */
  readonly cipher: string;
  /** The protocol that the server chose by ALPN; undefined if it chose none. */
  readonly alpn: string | undefined;
  /**
   * The server name sent by SNI; undefined for an IP address, which is never sent (RFC 6066 §3).
   */
  readonly servername: string | undefined;
  /** Whether a session was resumed: no certificate was sent or verified. */
  readonly resumed: boolean;
  /** Whether the certificate was verified. False only with `rejectUnauthorized: false`. */
  readonly authorized: boolean;
}
