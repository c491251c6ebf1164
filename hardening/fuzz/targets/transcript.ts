import {
  type DeflateEngine,
  isSendableCloseCode,
  MaskingKeys,
  type Message,
  MessageCodec,
  Protocol,
  PROTOCOL_ERRORS,
  ProtocolConfig,
  type ProtocolErrorCode,
  type ProtocolSink,
  type ReceivedPayload,
  type Runtime,
} from "@tungstate/protocol";
import { check, inPieces } from "../target.ts";

export interface Setup {
  readonly role: "client" | "server";
  readonly compression: boolean;
  readonly acceptUnmaskedFrames: boolean;
  readonly maxFrameSize: number;
  readonly maxMessageSize: number;
}

/** The result of a peer's bytes. */
export interface Transcript {
  /** Messages and control frames in order, then the error's code if there is one. */
  readonly events: readonly string[];
  readonly messages: readonly Message[];
  readonly error: ProtocolErrorCode | undefined;
  /** What is sent in reply. */
  readonly output: string;
  readonly state: string;
  readonly held: number;
}

// bytes: pongs (16 KiB at most), a Close, and rounding of message buffers
const HELD_BESIDE = 20 * 1024;

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");

/** Fixed keys, so that an input always has the same result. */
export const testKeys = (): MaskingKeys => new MaskingKeys((target) => void target.fill(0x5a));

/**
 * Returns a codec whose engine compresses nothing: the payload of a compressed message is the
 * message. Undefined without compression.
 */
export function codecFor({ role, compression }: Pick<Setup, "role" | "compression">): MessageCodec | undefined {
  return compression ? new MessageCodec(NO_CONTEXT, role, IDENTITY) : undefined;
}

const NO_CONTEXT = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
} as const;

function joined(payload: ReceivedPayload): Uint8Array {
  const bytes = new Uint8Array(payload.size);
  payload.copyTo(bytes, 0);
  return bytes;
}

function withTail(payload: Uint8Array): Uint8Array {
  return Buffer.concat([payload, Uint8Array.of(0, 0, 0xff, 0xff)]);
}

function never(): never {
  throw new Error("every message is processed synchronously");
}

const IDENTITY: DeflateEngine = {
  threshold: 0,
  asyncThreshold: Infinity,
  binary: true,
  encode: (text) => Buffer.from(text),
  join: joined,
  deflate: withTail,
  deflateAsync: never,
  store: withTail,
  inflate: joined,
  inflateAsync: never,
  nextTick: (callback) => callback(),
};

/**
 * Passes the bytes to a protocol in these chunks. Checks after each one the properties that must
 * always hold.
 */
export function transcribe(runtime: Runtime, setup: Setup, bytes: Uint8Array, cuts: readonly number[]): Transcript {
  const events: string[] = [];
  const messages: Message[] = [];
  const config = new ProtocolConfig(runtime, {
    ...setup,
    keys: setup.role === "client" ? testKeys() : undefined,
    maxWriteBufferSize: Infinity,
    heartbeat: undefined,
    closeTimeout: 1000,
  });
  const sink: ProtocolSink = {
    onMessage: (message) => {
      check(message.size <= setup.maxMessageSize, () => `a message of ${message.size} bytes came through`);
      messages.push(message);
      events.push(`${message.type} ${latin1(message.bytes)}`);
    },
    onPing: (payload) => events.push(`ping ${latin1(payload)}`),
    onPong: (payload) => events.push(`pong ${latin1(payload)}`),
    onStateChange: () => undefined,
  };
  const protocol = new Protocol(config, sink, codecFor(setup));
  let received = 0;
  inPieces(bytes, cuts, (piece) => {
    protocol.receive(piece, 0);
    received += piece.length;
    check(protocol.heldSize <= received + HELD_BESIDE, () => `${protocol.heldSize} bytes are held of ${received}`);
  });
  const { error } = protocol;
  if (error !== undefined) {
    const entry = Object.hasOwn(PROTOCOL_ERRORS, error.code)
      ? PROTOCOL_ERRORS[error.code as ProtocolErrorCode]
      : undefined;
    check(entry !== undefined, () => `${error.code} is in no table`);
    check(error.fault === "peer" && error.closeCode !== undefined, () => `${error.code} is not the peer's`);
    events.push(error.code);
  }
  protocol.flushControlFrames();
  const { code, reason, clean } = protocol.closing;
  const { state, shouldEndStream } = protocol;
  check(error === undefined || (state === "closing" && shouldEndStream), "an error that does not end the connection");
  events.push(`${state} ${code} ${clean} ${reason}`);
  check(code === 1005 || code === 1006 || isSendableCloseCode(code), () => `close code ${code} came through`);
  const held = protocol.heldSize;

  const taken = protocol.output.take();
  const output = [taken.pieces].flat().map(latin1).join("");
  protocol.output.release(taken);
  if (error?.closeCode !== undefined) {
    const masked = setup.role === "client";
    const close = output.slice(masked ? -8 : -4);
    check(close.startsWith(masked ? "\x88\x82" : "\x88\x02"), () => `no Close is sent for ${error.code}`);
  }
  if (state !== "open") {
    // nothing after the end counts
    const before = events.length;
    protocol.receive(Uint8Array.from([0x89, 0x80, 0, 0, 0, 0]), 0);
    check(events.length === before, "something was taken behind the end");
  }
  protocol.streamClosed(0);
  check(protocol.state === "closed" && protocol.pollTimeout() === Infinity, "the end of the stream does not end it");
  return { events, messages, error: error?.code as ProtocolErrorCode | undefined, output, state, held };
}

/** Describes which of two transcripts differ; undefined: they are equal. */
export function differenceOf(one: Transcript, other: Transcript): string | undefined {
  if (one.events.length !== other.events.length || one.events.some((event, at) => event !== other.events[at])) {
    return `${JSON.stringify(one.events)} and ${JSON.stringify(other.events)}`;
  }
  if (one.output !== other.output) return `${JSON.stringify(one.output)} and ${JSON.stringify(other.output)}`;
  return undefined;
}
