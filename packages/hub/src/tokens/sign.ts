import { argumentError, checkNames } from "tungstate/internal";
import { SignJWT } from "jose";
import { type Clock, systemClock } from "../schedule/clock.ts";

/** The content of a token. */
export interface NewToken {
  /** The HS256 secret of the verifier, at least 32 bytes. */
  readonly secret: string | Uint8Array;
  /** The user; "" is an anonymous one. */
  readonly user: string;
  /** The channel of a subscription token. Default: a connection token. */
  readonly channel?: string | undefined;
  /** Seconds until it expires. Default: never. */
  readonly ttl?: number | undefined;
  /** What others may know of the client. */
  readonly info?: unknown;
  /** Time; for tests. Default: the system's. */
  readonly clock?: Clock;
}

/**
 * Creates a connection or subscription token (HS256). Rejects with a TypeError for a secret that is
 * too short, and for an unknown option.
 */
export async function createToken(options: NewToken): Promise<string> {
  checkNames(
    options,
    {
      secret: true,
      user: true,
      channel: true,
      ttl: true,
      info: true,
      clock: true,
    },
    "a token",
  );
  const { user, channel, ttl, info, clock = systemClock } = options;
  const secret = typeof options.secret === "string" ? new TextEncoder().encode(options.secret) : options.secret;
  if (secret.length < 32) throw argumentError(TypeError, `a secret must have at least 32 bytes, got ${secret.length}`);
  if (ttl !== undefined && !Number.isFinite(ttl)) {
    throw argumentError(
      TypeError,
      `ttl must be a number of seconds, or absent for a token that does not expire, got ${String(ttl)}`,
    );
  }
  const now = Math.floor(clock.unix() / 1000);
  const token = new SignJWT({
    ...(channel === undefined ? {} : { channel }),
    ...(info === undefined ? {} : { info }),
  });
  token.setProtectedHeader({ alg: "HS256" }).setSubject(user).setIssuedAt(now);
  if (ttl !== undefined) token.setExpirationTime(now + ttl);
  return await token.sign(secret);
}
