import { protocolError } from "@tungstate/protocol";
import { constants } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { contextIdentity } from "./identity.ts";
import type { TlsOptions } from "./options.ts";

/** Contexts kept. An application has a handful of different options; one that has more only loses time. */
const MAX_CONTEXTS = 32;

const contexts = new Map<string, SecureContext>(); // by their options' identity, in the order of their last use

/**
 * The keys, authorities and ciphers of these options, read once: that takes longer than a resumed handshake.
 * Throws INVALID_ARGUMENT for what OpenSSL can't read.
 */
export function contextFor(options: TlsOptions): SecureContext {
  const identity = contextIdentity(options);
  const context = contexts.get(identity) ?? create(options);
  contexts.delete(identity);
  contexts.set(identity, context);
  for (const oldest of contexts.keys()) {
    if (contexts.size <= MAX_CONTEXTS) break;
    contexts.delete(oldest);
  }
  return context;
}

function create(options: TlsOptions): SecureContext {
  const {
    ca,
    cert,
    key,
    pfx,
    passphrase,
    crl,
    ciphers,
    sigalgs,
    ecdhCurve,
    maxVersion,
    minVersion = "TLSv1.2",
  } = options;
  const given = Object.entries({
    ca,
    cert,
    key,
    pfx,
    passphrase,
    crl,
    ciphers,
    sigalgs,
    ecdhCurve,
    maxVersion,
    minVersion,
  });
  try {
    return createSecureContext({
      ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
      // A server that asks for a new handshake (TLS 1.2) is told no; TLS 1.3 has none.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw protocolError("INVALID_ARGUMENT", `the tls options can't be used: ${message}`, { cause });
  }
}
