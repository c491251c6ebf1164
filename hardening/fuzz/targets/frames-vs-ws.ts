import { protocolError, Runtime } from "@tungstate/protocol";
import { type Difference, FRAME_DIFFERENCES, type FrameResults } from "../differences.ts";
import { frames as generateFrames } from "../generate/frames.ts";
import type { Random } from "../random.ts";
import { check, type Target } from "../target.ts";
import { transcribe } from "./transcript.ts";
import { Receiver, statusOf } from "./ws-parts.ts";

const RUNTIME = new Runtime();
const LIMIT = 2000; // bytes of a message, for both

function generate(random: Random): Uint8Array {
  const server = random.chance(0.5);
  const most = random.chance(0.05) ? LIMIT + 10 : 300;
  return Buffer.concat([
    Uint8Array.of(server ? 0 : 1),
    generateFrames(random, { masked: server, compressed: false, most }),
  ]);
}

const shown = (kind: string, bytes: Uint8Array): string => `${kind} ${Buffer.from(bytes).toString("latin1")}`;

function theirsOf(isServer: boolean, bytes: Uint8Array): FrameResults["theirs"] {
  const events: string[] = [];
  let error: Error | undefined;
  const receiver = new Receiver({ isServer, maxPayload: LIMIT });
  receiver
    .on("message", (data, isBinary) => events.push(shown(isBinary ? "binary" : "text", data)))
    .on("ping", (data) => events.push(shown("ping", data)))
    .on("pong", (data) => events.push(shown("pong", data)))
    .on("conclude", (code, reason) => events.push(`close ${code} ${reason.toString("latin1")}`))
    .on("error", () => undefined);
  receiver._write(Buffer.from(bytes), "", (failure) => (error ??= failure));
  return {
    events,
    message: error?.message.replace("Invalid WebSocket frame: ", ""),
    close: error === undefined ? undefined : statusOf(error),
  };
}

function oursOf(isServer: boolean, bytes: Uint8Array): FrameResults["ours"] {
  const limits = { maxFrameSize: LIMIT, maxMessageSize: LIMIT };
  const setup = {
    role: isServer ? "server" : "client",
    compression: false,
    acceptUnmaskedFrames: false,
    ...limits,
  } as const;
  const { events, error, state } = transcribe(RUNTIME, setup, bytes, [bytes.length]);
  const happened = events.slice(0, error === undefined ? -1 : -2);
  const [, code = "", , ...reason] = events.at(-1)?.split(" ") ?? [];
  if (state === "closing" && error === undefined)
    happened.push(`close ${code} ${Buffer.from(reason.join(" ")).toString("latin1")}`);
  return { events: happened, code: error, close: error === undefined ? undefined : protocolError(error).closeCode };
}

/** Returns the listed difference, or undefined if there is none. Throws for an unlisted one. */
export function compareFrames(input: Uint8Array): Difference<FrameResults> | undefined {
  const isServer = (input[0] ?? 0) % 2 === 0;
  const bytes = input.subarray(1);
  const results = { ours: oursOf(isServer, bytes), theirs: theirsOf(isServer, bytes) };
  const { ours, theirs } = results;
  if (ours.close === theirs.close && ours.events.join("\n") === theirs.events.join("\n")) return undefined;
  const known = FRAME_DIFFERENCES.find(({ is }) => is(results));
  check(known !== undefined, () => `ws disagrees: ${JSON.stringify(results)}`);
  return known;
}

export const framesVsWs: Target = {
  name: "frames-vs-ws",
  about: "a peer's frames in both: the same messages, control frames and close code as ws, or a listed difference",
  inputs: 1_000_000,
  generate,
  run: (input) => void compareFrames(input),
};
