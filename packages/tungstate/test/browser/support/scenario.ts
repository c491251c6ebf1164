import { type Gap, Message, reconnecting, type PlatformWebSocketClass } from "../../../src/browser/index.ts";

/**
 * Runs the same script on every platform against a Misbehaving server. Returns a line for each
 * thing that happened.
 */
export async function scenario(url: string, WebSocket?: PlatformWebSocketClass): Promise<string[]> {
  const log: string[] = [];
  const socket = reconnecting(url, {
    backoff: { initialDelay: 20, maxDelay: 40 },
    // a busy machine may stand still for longer than the few ms that an answer takes
    heartbeat: { interval: 100, timeout: 2_000, message: "heartbeat" },
    protocols: ["chat"],
    ...(WebSocket === undefined ? {} : { WebSocket }),
  });
  socket.on("open", () => log.push(`open, subprotocol ${socket.protocol}`));
  let failures = 0;
  socket.on("waiting", ({ after }) => {
    if (after.type === "failed") failures++;
    else log.push(`waiting after ${after.info.code} ${after.info.error?.code ?? ""}`);
  });
  socket.on("gap", (gap) => log.push(`gap of ${gap.attempts} attempts after ${gap.lost.code}`));
  const messages = socket.withGaps()[Symbol.asyncIterator]();
  const next = async (): Promise<Message | Gap> => {
    for (;;) {
      const { value, done } = await messages.next();
      if (done === true) throw new Error("it ended");
      if (!(value instanceof Message) || value.text !== "heartbeat") return value;
    }
  };
  const read = async (): Promise<void> => {
    const each = await next();
    log.push(each instanceof Message ? `received ${each.type} ${each.text}` : "read the gap");
  };

  await socket.send("hello"); // before it is open: waits in the outbox
  await read();
  socket.write(new Uint8Array([0xc3, 0xa9]));
  await read();

  // restarts: the connection is cut, and two attempts are refused
  socket.write("restart");
  await until(() => socket.state === "waiting");
  socket.write("from the outbox");
  await read();
  await read();
  log.push(`${failures} failed attempts`);

  // half-open: the server stays connected and answers nothing
  socket.write("mute");
  await read();
  socket.write("still here");
  await read();

  // batches
  for (let n = 0; n < 3; n++) socket.write(`batch ${n}`);
  let count = 0;
  for await (const batch of socket.batches()) {
    count += batch.filter(({ text }) => text !== "heartbeat").length;
    if (count === 3) break;
  }
  log.push(`${count} messages in batches`);

  const info = await socket.close(3001, "done");
  log.push(`closed with ${info.code}, clean: ${info.clean}, ${socket.state}`);
  await socket.send("late").catch((error: unknown) => log.push(`late: ${(error as { code: string }).code}`));
  return log;
}

/** What the script logs on every platform. */
export const EXPECTED: readonly string[] = [
  "open, subprotocol chat",
  "received text hello",
  "received binary é",
  "waiting after 1006 CONNECTION_LOST",
  "gap of 3 attempts after 1006",
  "open, subprotocol chat",
  "read the gap",
  "received text from the outbox",
  "2 failed attempts",
  "waiting after 1006 HEARTBEAT_TIMEOUT",
  "gap of 1 attempts after 1006",
  "open, subprotocol chat",
  "read the gap",
  "received text still here",
  "3 messages in batches",
  "closed with 3001, clean: true, closed",
  "late: NOT_OPEN",
];

async function until(is: () => boolean): Promise<void> {
  while (!is()) await new Promise((resolve) => setTimeout(resolve, 5));
}
