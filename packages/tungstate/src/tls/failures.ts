import { platform } from "../native/platform.ts";
import { type ConnectError, connectError, type ConnectionErrorCode, type Tried } from "../errors.ts";

/** Maps OpenSSL's verification codes (X509_V_ERR_*, named as in node:tls) to error codes. */
const CERTIFICATE_CODES: Readonly<Record<string, ConnectionErrorCode>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "TLS_SELF_SIGNED",
  SELF_SIGNED_CERT_IN_CHAIN: "TLS_UNKNOWN_AUTHORITY",
  UNABLE_TO_GET_ISSUER_CERT: "TLS_UNKNOWN_AUTHORITY",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "TLS_UNKNOWN_AUTHORITY",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "TLS_UNKNOWN_AUTHORITY",
  CERT_UNTRUSTED: "TLS_UNKNOWN_AUTHORITY",
  INVALID_CA: "TLS_UNKNOWN_AUTHORITY",
  CERT_HAS_EXPIRED: "TLS_EXPIRED",
  CERT_NOT_YET_VALID: "TLS_NOT_YET_VALID",
  CERT_REVOKED: "TLS_REVOKED",
  HOSTNAME_MISMATCH: "TLS_HOST_MISMATCH",
  ERR_TLS_CERT_ALTNAME_INVALID: "TLS_HOST_MISMATCH",
  UNABLE_TO_GET_CRL: "TLS_CERTIFICATE",
  UNABLE_TO_DECRYPT_CERT_SIGNATURE: "TLS_CERTIFICATE",
  UNABLE_TO_DECRYPT_CRL_SIGNATURE: "TLS_CERTIFICATE",
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: "TLS_CERTIFICATE",
  CERT_SIGNATURE_FAILURE: "TLS_CERTIFICATE",
  CRL_SIGNATURE_FAILURE: "TLS_CERTIFICATE",
  CRL_NOT_YET_VALID: "TLS_CERTIFICATE",
  CRL_HAS_EXPIRED: "TLS_CERTIFICATE",
  ERROR_IN_CERT_NOT_BEFORE_FIELD: "TLS_CERTIFICATE",
  ERROR_IN_CERT_NOT_AFTER_FIELD: "TLS_CERTIFICATE",
  CERT_CHAIN_TOO_LONG: "TLS_CERTIFICATE",
  PATH_LENGTH_EXCEEDED: "TLS_CERTIFICATE",
  INVALID_PURPOSE: "TLS_CERTIFICATE",
  CERT_REJECTED: "TLS_CERTIFICATE",
};

/** Maps OpenSSL's other errors by a part of their code. The first match counts. */
const SSL_CODES: readonly (readonly [RegExp, ConnectionErrorCode, string?])[] = [
  [
    /ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA)|ALERT_ACCESS_DENIED/,
    "TLS_CLIENT_CERTIFICATE",
  ],
  [
    /ALERT_HANDSHAKE_FAILURE/,
    "TLS_PROTOCOL",
    "the server does not say more; some servers say this when a client certificate is missing",
  ],
  [/ALERT_INSUFFICIENT_SECURITY|NO_CIPHERS|NO_SHARED_CIPHER|NO_PROTOCOLS_AVAILABLE/, "TLS_PROTOCOL"],
  [/NO_APPLICATION_PROTOCOL/, "TLS_ALPN"],
  [
    /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|RECORD_LAYER_FAILURE|HTTP_REQUEST|UNEXPECTED_MESSAGE$/,
    "TLS_PROTOCOL",
    "what came is no TLS",
  ],
  [/UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|VERSION_TOO_LOW|WRONG_SSL_VERSION/, "TLS_PROTOCOL"],
  [/ALERT_/, "TLS_ALERT"],
];

const CLOSED_CODES = new Set([
  "ECONNRESET",
  "EPIPE",
  "ECONNABORTED",
  "ERR_STREAM_PREMATURE_CLOSE",
  "ERR_STREAM_DESTROYED",
]);

/** Maps an error of a `tls.TLSSocket` during its handshake to a ConnectError. */
export function tlsFailure(error: NodeJS.ErrnoException, tried: Tried): ConnectError {
  const { code = "", message } = error;
  const options = { cause: error, tried };
  const certificate = Object.hasOwn(CERTIFICATE_CODES, code) ? CERTIFICATE_CODES[code] : undefined;
  if (platform.name === "Deno" && code === "UNABLE_TO_VERIFY_LEAF_SIGNATURE") {
    // its code for every reason, such as an expired certificate
    return connectError("TLS_CERTIFICATE", "Deno does not say why", options);
  }
  if (certificate !== undefined) return connectError(certificate, detailOf(certificate, error), options);
  if (CLOSED_CODES.has(code)) return connectError("TLS_CLOSED", code === "ECONNRESET" ? undefined : code, options);
  const [, known, detail] = SSL_CODES.find(([pattern]) => pattern.test(code)) ?? [];
  return connectError(known ?? "TLS_FAILED", detail === undefined ? code || message : `${detail} (${code})`, options);
}

function detailOf(code: ConnectionErrorCode, error: NodeJS.ErrnoException): string {
  if (code !== "TLS_HOST_MISMATCH") return error.code ?? "";
  // the names in the certificate, which checkServerIdentity reports, come from the peer
  const reason = (error as { readonly reason?: unknown }).reason;
  return JSON.stringify(typeof reason === "string" ? reason.slice(0, 200) : error.message.slice(0, 200));
}
