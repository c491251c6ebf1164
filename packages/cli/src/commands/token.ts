import { createToken } from "@tungstate/hub";
import { fail } from "../system/stdio.ts";
import { secretProblems } from "../settings/token-keys.ts";

export interface TokenFlags {
  readonly user: string;
  /** Seconds. */
  readonly ttl: number;
  readonly channel?: string;
  readonly tokenSecret?: string;
}

/** Runs `tungstate token`: prints a token to stdout. */
export async function tokenCommand({ user, ttl, channel, tokenSecret }: TokenFlags): Promise<void> {
  const problems =
    tokenSecret === undefined ? ["--token-secret or TUNGSTATE_TOKEN_SECRET is required"] : secretProblems(tokenSecret);
  if (tokenSecret === undefined || problems.length > 0) {
    fail(...problems);
    return;
  }
  process.stdout.write(`${await createToken({ secret: tokenSecret, user, ttl, channel })}\n`);
}
