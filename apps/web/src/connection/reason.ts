/** Why there is no connection, for people. */

/** How a WebSocket ended, as a browser tells it, and what we know besides. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
  /** Whether it had been open. */
  readonly wasOpen: boolean;
  /** Whether we gave it up because nothing came back any more. */
  readonly silent: boolean;
  /** Whether the browser says that there is no network. */
  readonly offline: boolean;
}

const BY_CODE = new Map([
  [1000, "The server has ended the connection."],
  [1001, "The server is shutting down."],
  [1008, "The server has ended the connection: something here is against its rules."],
  [1009, "The server has ended the connection: a message was too large for it."],
  [1011, "The server ran into an error."],
  [1012, "The server is restarting."],
  [1013, "The server has too much to do, or this page could not keep up."],
  // of the hub
  [3001, "The server is shutting down."],
  [3004, "The server ran into an error."],
  [3008, "This page could not keep up with the server."],
  [3012, "This page did not answer the server in time."],
  [3013, "The server has ended the connection: this page asked too much of it."],
  [3503, "The server has sent this page away."],
  [3504, "The server takes no more connections."],
]);

/** One sentence. What the server says goes in as it is: show it as text. */
export function explainEnding(ending: Ending): string {
  const { code, reason } = ending;
  if (ending.offline) return "You are offline.";
  if (ending.silent) return "The server has stopped answering.";
  const known = BY_CODE.get(code);
  if (known === undefined && !ending.wasOpen) return "The server cannot be reached.";
  if (known === undefined && code === 1006) return "The connection was lost.";
  // what these codes say, the hub says in a word: no more than the sentence does
  if (reason === "" || (known !== undefined && code >= 3000))
    return known ?? `The server has ended the connection (code ${code}).`;
  return `${known?.slice(0, -1) ?? `The server has ended the connection (code ${code})`}: “${reason}”.`;
}
