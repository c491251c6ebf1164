/** Why there is no connection, as a sentence for users. */

/** How a WebSocket ended, as reported by the browser, with what the page knows in addition. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
  /** Whether it had been open. */
  readonly wasOpen: boolean;
  /** Whether the page gave it up because no reply came. */
  readonly silent: boolean;
  /** Whether the browser reports that there is no network. */
  readonly offline: boolean;
}

const BY_CODE = new Map([
  [1000, "The server closed the connection."],
  [1001, "The server is shutting down."],
  [1008, "The server closed the connection because of a policy violation."],
  [1009, "The server closed the connection because a message was too large."],
  [1011, "The server had an internal error."],
  [1012, "The server is restarting."],
  [1013, "The server is overloaded, or this page could not keep up."],
  // codes of the hub
  [3001, "The server is shutting down."],
  [3004, "The server had an internal error."],
  [3008, "This page could not keep up with the server."],
  [3012, "This page did not answer the server in time."],
  [3013, "The server closed the connection because this page exceeded a limit."],
  [3503, "The server disconnected this page."],
  [3504, "The server accepts no more connections."],
]);

/** Returns one sentence. It may contain text of the server: display it as text. */
export function explainEnding(ending: Ending): string {
  const { code, reason } = ending;
  if (ending.offline) return "You are offline.";
  if (ending.silent) return "The server does not respond.";
  const known = BY_CODE.get(code);
  if (known === undefined && !ending.wasOpen) return "The server cannot be reached.";
  if (known === undefined && code === 1006) return "The connection was lost.";
  // the hub's reason for these codes adds nothing to the sentence
  if (reason === "" || (known !== undefined && code >= 3000))
    return known ?? `The server closed the connection (code ${code}).`;
  return `${known?.slice(0, -1) ?? `The server closed the connection (code ${code})`}: “${reason}”.`;
}
