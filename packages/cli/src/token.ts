import { createToken } from "@tungstate/hub";
import { fail } from "./stdio.ts";
import { secretProblems } from "./token-keys.ts";

export interface TokenFlags {
  readonly user: string;
  /** seconds */
  readonly ttl: number;
  readonly channel?: string;
  readonly tokenSecret?: string;
}

/** `tungstate token`: a token on stdout. */
export async function tokenCommand({ user, ttl, channel, tokenSecret }: TokenFlags): Promise<void> {
  const problems =
    tokenSecret === undefined
      ? ["--token-secret, or TUNGSTATE_TOKEN_SECRET, has to be given"]
      : secretProblems(tokenSecret);
  if (tokenSecret === undefined || problems.length > 0) {
    fail(...problems);
    return;
  }
  process.stdout.write(`${await createToken({ secret: tokenSecret, user, ttl, channel })}\n`);
}
