import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { explainSystem } from "../system/explain.ts";

/** A certificate chain and its private key, in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export type ReadCertificate =
  | { readonly certificate: Certificate; readonly subject: string; readonly validTo: string }
  | { readonly problems: readonly string[] };

/** Flags that name the files of a certificate. */
export interface CertificateFlags {
  readonly cert: string;
  readonly key: string;
  /** The flag of the passphrase, if the key may be encrypted. */
  readonly passphrase?: string;
}

const SERVER_FLAGS: CertificateFlags = { cert: "--tls-cert", key: "--tls-key" };

/**
 * Reads a certificate chain and its private key. The returned problems name the flags and files.
 */
export function readCertificate(
  certFile: string,
  keyFile: string,
  flags: CertificateFlags = SERVER_FLAGS,
  passphrase?: string,
): ReadCertificate {
  const problems: string[] = [];
  const read = <T>(
    where: string,
    file: string,
    parse: (text: string) => T,
  ): { text: string; parsed: T } | undefined => {
    try {
      const text = readFileSync(file, "latin1");
      return { text, parsed: parse(text) };
    } catch (error) {
      const problem = `${where} ${file}: ${error instanceof UnexpectedContent ? error.message : explainSystem(error)}`;
      // one file for both that is missing is one problem
      if (!problems.includes(problem)) problems.push(problem);
      return undefined;
    }
  };
  const cert = read(flags.cert, certFile, parseCertificate);
  // one file may contain both
  const keyFlag = keyFile === certFile ? flags.cert : flags.key;
  const key = read(keyFlag, keyFile, (text) => parseKey(text, flags, passphrase));
  if (cert === undefined || key === undefined) return { problems };
  if (!cert.parsed.checkPrivateKey(key.parsed)) {
    return { problems: [`${flags.key} ${keyFile}: the private key does not match the certificate in ${certFile}`] };
  }
  const certificate = { cert: cert.text, key: key.text };
  try {
    // OpenSSL also checks the chain and rejects weak keys and digests
    createSecureContext(passphrase === undefined ? certificate : { ...certificate, passphrase });
  } catch (error) {
    return { problems: [`${flags.cert} ${certFile}: ${error instanceof Error ? error.message : String(error)}`] };
  }
  const { subject, validTo } = cert.parsed;
  return { certificate, subject: subject.replaceAll("\n", ", "), validTo };
}

/** An error whose message says what the file was expected to contain. */
class UnexpectedContent extends Error {}

function parseCertificate(text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (error) {
    throw new UnexpectedContent("expected a certificate in PEM, found none", { cause: error });
  }
}

function parseKey(text: string, flags: CertificateFlags, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey(passphrase === undefined ? text : { key: text, passphrase });
  } catch (error) {
    throw new UnexpectedContent(keyProblem(text, flags, passphrase, error), { cause: error });
  }
}

function keyProblem(text: string, flags: CertificateFlags, passphrase: string | undefined, error: unknown): string {
  const isEncrypted =
    /ENCRYPTED/.test(text) || (error instanceof Error && "code" in error && error.code === "ERR_MISSING_PASSPHRASE");
  if (!isEncrypted) return "expected a private key in PEM, found none";
  if (flags.passphrase === undefined) return "expected a private key without a passphrase, got an encrypted one";
  return passphrase === undefined
    ? `the private key is encrypted; pass its passphrase with ${flags.passphrase}`
    : `the passphrase in ${flags.passphrase} does not decrypt the private key`;
}
