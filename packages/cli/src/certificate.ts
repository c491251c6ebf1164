import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { explainSystem } from "./explain.ts";

/** What a server shows, in PEM. */
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
  /** Of the passphrase, where a key may have one. */
  readonly passphrase?: string;
}

const SERVER_FLAGS: CertificateFlags = { cert: "--tls-cert", key: "--tls-key" };

/** Reads a certificate with its chain, and its private key. The problems name the flags and files. */
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
      problems.push(`${where} ${file}: ${error instanceof Expected ? error.message : explainSystem(error)}`);
      return undefined;
    }
  };
  const cert = read(flags.cert, certFile, parseCertificate);
  const key = read(flags.key, keyFile, (text) => parseKey(text, flags, passphrase));
  if (cert === undefined || key === undefined) return { problems };
  if (!cert.parsed.checkPrivateKey(key.parsed)) {
    return { problems: [`${flags.key} ${keyFile}: it is not the key of the certificate in ${certFile}`] };
  }
  const certificate = { cert: cert.text, key: key.text };
  try {
    // OpenSSL also checks the chain, and refuses what it holds too weak
    createSecureContext(passphrase === undefined ? certificate : { ...certificate, passphrase });
  } catch (error) {
    return { problems: [`${flags.cert} ${certFile}: ${error instanceof Error ? error.message : String(error)}`] };
  }
  const { subject, validTo } = cert.parsed;
  return { certificate, subject: subject.replaceAll("\n", ", "), validTo };
}

/** What was expected, where the system has nothing to say. */
class Expected extends Error {}

function parseCertificate(text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (error) {
    throw new Expected("expected certificates in PEM, and there are none in it", { cause: error });
  }
}

function parseKey(text: string, flags: CertificateFlags, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey(passphrase === undefined ? text : { key: text, passphrase });
  } catch (error) {
    throw new Expected(keyProblem(text, flags, passphrase, error), { cause: error });
  }
}

function keyProblem(text: string, flags: CertificateFlags, passphrase: string | undefined, error: unknown): string {
  const isEncrypted =
    /ENCRYPTED/.test(text) || (error instanceof Error && "code" in error && error.code === "ERR_MISSING_PASSPHRASE");
  if (!isEncrypted) return "expected a private key in PEM, and there is none in it";
  if (flags.passphrase === undefined) return "expected a private key without a passphrase, and this one has one";
  return passphrase === undefined
    ? `the private key has a passphrase: give it by ${flags.passphrase}`
    : `the passphrase of ${flags.passphrase} is not that of the private key`;
}
