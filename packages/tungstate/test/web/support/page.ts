import type { Platform } from "./platform.ts";
import { socketScenario } from "./socket-scenario.ts";
import { streamScenario } from "./stream-scenario.ts";

/** What the page sends to the server. */
export interface Logs {
  readonly socket: string[];
  readonly stream: string[];
  /** Why the scripts ended early. */
  failed?: string;
}

const logs: Logs = { socket: [], stream: [] };

/** The script of the test page: runs both scenarios and sends their logs to the server. */
async function run(): Promise<void> {
  const { WebSocket, WebSocketStream, WebSocketError, CloseEvent, MessageEvent } = globalThis as unknown as Platform;
  const platform = { WebSocket, WebSocketStream, WebSocketError, CloseEvent, MessageEvent };
  const base = (globalThis as unknown as { location: { origin: string } }).location.origin.replace("http", "ws");
  await socketScenario(platform, base, logs.socket);
  await streamScenario(platform, base, logs.stream);
}

async function report(failed?: string): Promise<void> {
  if (failed !== undefined) logs.failed = failed;
  await fetch("/log", { method: "POST", body: JSON.stringify(logs) });
}

// an error in a listener would leave the script waiting
const page = globalThis as unknown as EventTarget;
page.addEventListener("error", (event) => {
  void report((event as unknown as { readonly message: string }).message);
});
run().then(
  () => report(),
  (error: unknown) => report(String(error)),
);
