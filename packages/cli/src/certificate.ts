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

/** Reads a certificate with its chain, and its private key. The problems name the flags and files. */
export function readCertificate(certFile: string, keyFile: string): ReadCertificate {
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
  const cert = read("--tls-cert", certFile, parseCertificate);
  const key = read("--tls-key", keyFile, parseKey);
  if (cert === undefined || key === undefined) return { problems };
  if (!cert.parsed.checkPrivateKey(key.parsed)) {
    return { problems: [`--tls-key ${keyFile}: it is not the key of the certificate in ${certFile}`] };
  }
  const certificate = { cert: cert.text, key: key.text };
  try {
    createSecureContext(certificate); // which also looks at the chain, and at what OpenSSL holds too weak
  } catch (error) {
    return { problems: [`--tls-cert ${certFile}: ${error instanceof Error ? error.message : String(error)}`] };
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

function parseKey(text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch (error) {
    const encrypted = error instanceof Error && "code" in error && error.code === "ERR_MISSING_PASSPHRASE";
    throw new Expected(
      encrypted
        ? "expected a private key without a passphrase, and this one has one"
        : "expected a private key in PEM, and there is none in it",
      { cause: error },
    );
  }
}
