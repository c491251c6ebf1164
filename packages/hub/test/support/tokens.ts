import { SignJWT } from "jose";

/** For HS256. */
export const SECRET = "a secret of at least thirty-two bytes, which is the least";

/** Creates a token with any claims, including invalid ones. */
export function sign(claims: Readonly<Record<string, unknown>>, secret = SECRET): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(secret));
}
