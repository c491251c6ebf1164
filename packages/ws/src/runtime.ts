import process from "node:process";
import { type KeySource, type Memory, memoryOf, Sender } from "@tungstate/protocol/internal";
import { defaultRuntime, type Flusher, type NodeRuntime, systemClock } from "tungstate/internal";

/** The resources that all connections of the process share. */
export const runtime: NodeRuntime = defaultRuntime;
export const memory: Memory = memoryOf(runtime);
export const flusher: Flusher = runtime.flushers.of(systemClock);

/**
 * Encodes frames as a server does, and as a client does. Frames are as large as the messages that
 * are sent.
 */
export const plainSender = new Sender(memory, undefined, Infinity);
export const maskingSender = new Sender(memory, runtime.maskingKeys, Infinity);

/** Fills a Buffer of 4 bytes with a masking key. */
export type GenerateMask = (mask: Buffer) => void;

class GeneratedKeys implements KeySource {
  private readonly key = Buffer.alloc(4);
  private readonly generate: GenerateMask;

  constructor(generate: GenerateMask) {
    this.generate = generate;
  }

  take(): number {
    this.generate(this.key);
    return this.key.readInt32LE(0);
  }
}

/** Returns a sender whose masking keys come from a function of the application. */
export function senderWithKeys(generateMask: GenerateMask): Sender {
  return new Sender(memory, new GeneratedKeys(generateMask), Infinity);
}

let flushesAtExit = false;

/** Writes buffered output to the system at `process.exit()`. */
export function flushAtExit(): void {
  if (flushesAtExit) return;
  flushesAtExit = true;
  process.on("exit", () => flusher.flushAll());
}
