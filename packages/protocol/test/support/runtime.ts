import type { Primitives } from "../../src/bytes/primitives.ts";
import { ProtocolConfig, type ProtocolOptions } from "../../src/endpoint/options.ts";
import { Output } from "../../src/endpoint/output.ts";
import { Protocol } from "../../src/endpoint/protocol.ts";
import type { ProtocolSink } from "../../src/endpoint/sink.ts";
import { Sender } from "../../src/endpoint/sender.ts";
import type { MaskingKeys } from "../../src/frames/masking-keys.ts";
import { Assembly } from "../../src/messages/assembly.ts";
import { Message } from "../../src/messages/message.ts";
import type { Memory } from "../../src/runtime/memory.ts";
import { memoryOf, Runtime } from "../../src/runtime/runtime.ts";
import { identityCodec } from "./codec.ts";

let current = new Runtime();

/** The runtime of the functions below. */
export function runtime(): Runtime {
  return current;
}

export function memory(): Memory {
  return memoryOf(current);
}

/** Replaces the runtime by one with these functions. Call it without arguments after the test. */
export function useRuntime(native: Partial<Primitives> = {}): void {
  current = new Runtime(native);
}

/**
 * Counts the bytes allocated while `run` runs, with a separate runtime. Allocated memory is not
 * zero, as on a platform that does not clear it, which detects reads of uninitialised memory.
 */
export function allocatedBy(run: (allocated: () => number) => void): number {
  let total = 0;
  const allocate = (size: number): Uint8Array => {
    total += size;
    return new Uint8Array(size).fill(0xdb);
  };
  const before = current;
  useRuntime({ allocate });
  try {
    run(() => total);
  } finally {
    current = before;
  }
  return total;
}

export function newMessage(
  type: "text" | "binary",
  source: Uint8Array,
  start: number,
  size: number,
  pieces?: readonly Uint8Array[],
  owned?: boolean,
): Message {
  return new Message(memory(), type, source, start, size, pieces, owned);
}

export function newAssembly(type: "text" | "binary", compressed: boolean): Assembly {
  return new Assembly(memory(), type, compressed);
}

export function newOutput(): Output {
  return new Output(memory());
}

export function newSender(keys: MaskingKeys | undefined, maxFrameSize: number): Sender {
  return new Sender(memory(), keys, maxFrameSize);
}

/** Returns a protocol. With compression, its codec is `identityCodec`. */
export function newProtocol(options: ProtocolOptions, sink: ProtocolSink): Protocol {
  const codec = options.compression ? identityCodec(options.role) : undefined;
  return new Protocol(new ProtocolConfig(current, options), sink, codec);
}

/** Takes all waiting output, and releases it as if it had been written. */
export function releaseAll(output: Output): void {
  output.release(output.take());
}
