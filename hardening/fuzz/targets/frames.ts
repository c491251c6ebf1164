import { type Message, Protocol, ProtocolConfig, Runtime } from "@tungstate/protocol";
import { defaultRuntime as native } from "tungstate/internal";
import { frames as generateFrames } from "../generate/frames.ts";
import { hashOf, Random } from "../random.ts";
import { check, cutsOf, type Target } from "../target.ts";
import { codecFor, differenceOf, type Setup, testKeys, transcribe } from "./transcript.ts";

const portable = new Runtime();
/** The first byte of an input selects the configuration. */
function setupOf(first: number): Setup {
  const limit = (first & 8) === 0 ? 1000 : 70_000;
  return {
    role: (first & 1) === 0 ? "server" : "client",
    compression: (first & 2) !== 0,
    acceptUnmaskedFrames: (first & 4) !== 0,
    maxFrameSize: limit,
    maxMessageSize: 2 * limit,
  };
}

function generate(random: Random): Uint8Array {
  const first = random.integer(16);
  const { role, compression, maxMessageSize } = setupOf(first);
  const most = random.chance(0.05) ? maxMessageSize + 10 : 300;
  const stream = generateFrames(random, { masked: role === "server", compressed: compression, most });
  return Buffer.concat([Uint8Array.of(first), stream]);
}

function run(input: Uint8Array): void {
  const setup = setupOf(input[0] ?? 0);
  const bytes = input.subarray(1);
  const random = new Random(hashOf(input));
  const whole = transcribe(portable, setup, bytes, [bytes.length]);
  const cuts = cutsOf(bytes.length, random);
  const others = [
    ["in pieces", cuts],
    ["in pieces, with Node's functions", cuts],
    ["with Node's functions", [bytes.length]],
  ] as const;
  for (const [how, at] of others) {
    const runtime = how.includes("Node") ? native : portable;
    const difference = differenceOf(whole, transcribe(runtime, setup, bytes, at));
    check(difference === undefined, () => `${how} (${at.join()}) the result differs: ${difference}`);
  }
  for (const message of whole.messages) checkText(message);
  if (whole.messages.length > 0) checkRoundTrip(setup, whole.messages);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text that was delivered is UTF-8 for another decoder, too. */
function checkText(message: Message): void {
  if (message.type !== "text") return;
  let text: string | undefined;
  try {
    text = utf8.decode(message.bytes);
  } catch {
    text = undefined;
  }
  check(text === message.text, () => `the text ${JSON.stringify(message.text)} is ${JSON.stringify(text)} elsewhere`);
}

/**
 * Messages that were received are received again when the other role sends them in small frames.
 */
function checkRoundTrip(setup: Setup, received: readonly Message[]): void {
  const role = setup.role === "server" ? "client" : "server";
  const config = new ProtocolConfig(portable, {
    ...setup,
    role,
    keys: testKeys(),
    maxFrameSize: 97,
    maxWriteBufferSize: Infinity,
    heartbeat: undefined,
    closeTimeout: 1000,
  });
  const sender = new Protocol(config, NOBODY, codecFor({ ...setup, role }));
  for (const message of received) sender.send(message);
  const taken = sender.output.take();
  const sent = Buffer.concat([taken.pieces].flat());
  sender.output.release(taken);
  const again = transcribe(portable, setup, sent, [sent.length]);
  check(again.error === undefined, () => `${again.error} in what was sent again`);
  check(again.messages.length === received.length, "not every message was received again");
  for (const [at, message] of again.messages.entries()) {
    const was = received[at];
    check(
      was?.type === message.type && Buffer.compare(was.bytes, message.bytes) === 0,
      "a message differs when received again",
    );
  }
}

const nothing = (): void => undefined;
const NOBODY = {
  onMessage: nothing,
  onPing: nothing,
  onPong: nothing,
  onStateChange: nothing,
};

export const frames: Target = {
  name: "frames",
  about:
    "a peer's frames: equal whole and in chunks, with portable and with Node's functions; limits hold; messages survive a round trip",
  inputs: 1_000_000,
  generate,
  run,
};
