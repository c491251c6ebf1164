import { argumentError } from "tungstate/internal";
import { type CommandError, commandError, type Disconnect, DISCONNECTS } from "../../codes.ts";
import { type Credentials, isCredentials, TokenError } from "../../settings/credentials.ts";
import { disconnect, type Parts } from "../parts.ts";
import type { ConnectCommand } from "../../protocol/command.ts";
import type { Session } from "../session.ts";

/** What a client says of itself. */
export type IdentityClaims = Pick<ConnectCommand, "token" | "data" | "name" | "version" | "headers">;

export interface Identity {
  readonly credentials: Credentials;
  /** Whether a token said so: a client whose token is too old can get another one. */
  readonly byToken: boolean;
}

/**
 * Returns who a client is. Rejects with a CommandError or Disconnect for an unknown client, and
 * with a TokenError.
 */
export async function identify(session: Session, parts: Parts, claims: IdentityClaims): Promise<Identity> {
  const { tokens, authenticate, anonymous } = parts.settings;
  const { token, data, name, version, headers } = claims;
  if (token !== "" && tokens !== undefined) {
    const verified: unknown = await tokens.connection(token);
    if (!isCredentials(verified)) throw noCredentials("the token verifier", verified);
    return { credentials: verified, byToken: true };
  }
  const { client, context } = session;
  const answer: unknown = await authenticate?.({ client, data, name, version, headers, token, context });
  if (isCredentials(answer)) return { credentials: answer, byToken: false };
  if (answer) parts.background.onError(noCredentials("authenticate", answer));
  // an unknown token does not admit its client as an anonymous one
  if (token !== "") throw disconnect(DISCONNECTS.INVALID_TOKEN);
  if (anonymous && (answer === undefined || answer === null)) return { credentials: { user: "" }, byToken: false };
  throw commandError("UNAUTHORIZED");
}

/**
 * Reports a claim that was wrong. Returns what the client is answered: `whenExpired` for a token
 * that is too old, else 3500.
 */
export function tokenRefusal(error: unknown, parts: Parts, whenExpired: CommandError | Disconnect): unknown {
  if (!(error instanceof TokenError)) return error;
  parts.settings.onTokenRefused(error);
  if (error.temporary) return commandError("INTERNAL");
  return error.expired ? whenExpired : disconnect(DISCONNECTS.INVALID_TOKEN);
}

function noCredentials(source: string, answer: unknown): TypeError {
  const fields =
    typeof answer === "object" && answer !== null ? ` with the fields ${Object.keys(answer).join(", ")}` : "";
  return argumentError(
    TypeError,
    `${source} must return credentials: user, and no fields but info, meta, data, expireAt and subs, a Map of { info?, data? }; got ${typeof answer}${fields}`,
  );
}
