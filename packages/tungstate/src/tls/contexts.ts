import { argumentError } from "@tungstate/protocol/internal";
import { constants } from "node:crypto";
import type { SecureContext } from "node:tls";
import { openSecureContext } from "../native/secure-context.ts";
import { contextIdentity } from "./identity.ts";
import type { TlsOptions } from "./options.ts";

/**
 * Number of contexts kept. An application has few different sets of options; with more, contexts
 * are made again.
 */
const MAX_CONTEXTS = 32;

/** By their options' identity, in the order of their last use. */
const contexts = new Map<string, SecureContext>();

/**
 * Returns the OpenSSL context of these options. Its keys, authorities and ciphers are parsed once,
 * which takes longer than a resumed handshake. Throws INVALID_ARGUMENT for what OpenSSL cannot
 * parse.
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
    return openSecureContext({
      ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
      // refuse renegotiation (TLS 1.2); TLS 1.3 has none
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw argumentError(TypeError, `tls has an invalid option: ${message}`, { cause });
  }
}
