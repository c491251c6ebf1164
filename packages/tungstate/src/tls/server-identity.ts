import { X509Certificate } from "node:crypto";
import type { PeerCertificate } from "node:tls";

/**
 * As `tls.checkServerIdentity` for an IPv6 address, which some releases of Node 22, 24 and 26 find
 * in no certificate (node#64144). OpenSSL compares by RFC 5280 §4.2.1.6: the certificate must
 * contain the address.
 */
export function checkIpv6Identity(address: string, certificate: PeerCertificate): Error | undefined {
  if (new X509Certificate(certificate.raw).checkIP(address) !== undefined) return undefined;
  const reason = `IP: ${address} is not in the certificate's list: ${certificate.subjectaltname ?? "none"}`;
  return Object.assign(new Error(reason), { code: "ERR_TLS_CERT_ALTNAME_INVALID", reason });
}
