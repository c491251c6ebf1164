import { isUtf8 } from "node:buffer";
import { ConnectError, HandshakeRejectedError, WebSocketError } from "tungstate";
import { isArgumentError } from "tungstate/internal";

const BODY_SHOWN = 200; // characters of the first line of a response body

/** A wrong argument. The message says what was expected and what was given. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Describes in one line why connecting failed. The line starts with the step that failed. */
export function explainFailure(error: unknown): string {
  if (error instanceof UsageError) return `usage: ${error.message}`;
  if (error instanceof HandshakeRejectedError) return `handshake: ${explainResponse(error.response)}`;
  if (error instanceof WebSocketError) return `${stepOf(error)}: ${error.message} (${error.code})`;
  if (isArgumentError(error)) return `usage: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}

function stepOf(error: WebSocketError): string {
  if (error.code === "INVALID_URL") return "usage";
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

/**
 * Decodes a header value, which has one character for each byte, as UTF-8 if its bytes are valid.
 */
function utf8Of(value: string): string {
  const bytes = Buffer.from(value, "latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : value;
}

/** Describes a system error without its code and call. */
export function explainSystem(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return (code === undefined ? undefined : SYSTEM.get(code)) ?? error.message;
}

const SYSTEM = new Map([
  ["EACCES", "permission denied"],
  ["EADDRINUSE", "the port is in use"],
  ["EADDRNOTAVAIL", "this machine does not have the address"],
  ["EISDIR", "it is a directory"],
  ["ENOENT", "no such file"],
  ["ENOTFOUND", "no such host"],
]);
