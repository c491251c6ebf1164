import { isUtf8 } from "node:buffer";
import { ConnectError, HandshakeRejectedError, WebSocketError } from "tungstate";

const BODY_SHOWN = 200; // characters of a refusal's first line

/** A wrong argument: what was expected, and what came. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Why there is no connection, in one line that begins with the step that failed. */
export function explainFailure(error: unknown): string {
  if (error instanceof UsageError) return `usage: ${error.message}`;
  if (error instanceof HandshakeRejectedError) return `handshake: ${explainResponse(error.response)}`;
  if (error instanceof WebSocketError) return `${stepOf(error)}: ${error.message} (${error.code})`;
  return error instanceof Error ? error.message : String(error);
}

function stepOf(error: WebSocketError): string {
  if (error.code === "INVALID_URL" || error.code === "INVALID_ARGUMENT") return "usage";
  if (!(error instanceof ConnectError)) return "handshake";
  return error.step === "tls" ? "TLS" : error.step;
}

function explainResponse({ status, reason, headers, body }: HandshakeRejectedError["response"]): string {
  const location = headers.get("location");
  const [firstLine = ""] = Buffer.from(body).toString("utf8").trim().split("\n");
  const more = [location === undefined ? "" : `Location ${utf8Of(location)}`, firstLine.slice(0, BODY_SHOWN)];
  const answer = `the server answered ${status} ${reason}`.trimEnd();
  return [answer, ...more.filter((part) => part !== "")].join(": ");
}

/** A header value, which has a character for each byte, as the UTF-8 that its bytes may be. */
function utf8Of(value: string): string {
  const bytes = Buffer.from(value, "latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : value;
}

/** Why the system refused something, without its error's stack of names. */
export function explainSystem(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return (code === undefined ? undefined : SYSTEM.get(code)) ?? error.message;
}

const SYSTEM = new Map([
  ["EACCES", "not permitted"],
  ["EADDRINUSE", "the port is in use"],
  ["EADDRNOTAVAIL", "the address is not one of this machine"],
  ["EISDIR", "it is a folder"],
  ["ENOENT", "there is no such file"],
  ["ENOTFOUND", "there is no such host"],
]);
