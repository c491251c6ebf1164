import {
  type CodecFactory,
  codecFactory,
  DEFAULT_LIMITS,
  type Heartbeat,
  MaskingKeys,
  ProtocolConfig,
  type ProtocolLimits,
  type ProtocolOptions,
  type RandomSource,
} from "@tungstate/protocol";
import { invalidOption } from "@tungstate/protocol/internal";
import { ledgerOf, MemoryBudget, sharedMemoryBudget } from "./memory-budget.ts";
import type { MemoryLedger } from "./memory-ledger.ts";
import { type Clock, systemClock } from "../schedule/clock.ts";
import type { Deadlines } from "../schedule/deadlines.ts";
import { zlibEngine } from "../deflate/engine.ts";
import {
  COMPRESSION_OPTIONS,
  type CompressionOptions,
  type CompressionSettings,
  compressionSettings,
} from "../deflate/settings.ts";
import type { Flusher } from "../schedule/flusher.ts";
import type { ReadScheduler } from "../schedule/read-scheduler.ts";
import { randomFill } from "../native/primitives.ts";
import { defaultRuntime, type NodeRuntime } from "../native/runtime.ts";
import type { TransportKind } from "../transport/of.ts";
import { checkFunction, flag, size, time } from "../options/check.ts";
import { describe } from "../options/describe.ts";
import type { OptionNames } from "../options/names.ts";

/** Options that clients and servers share. Sizes are in bytes, times in milliseconds. */
export interface ConnectionOptions extends Partial<ProtocolLimits> {
  /**
   * High-water mark of the output buffer in bytes: above it `write` returns false and `send` waits.
   * Output is sent when half of it is buffered, at the latest at the end of the event-loop tick.
   * Default: 128 KiB.
   */
  readonly writeBufferSize?: number;
  /**
   * High-water mark of the receive queue in bytes: above it the connection stops reading until half
   * of it is consumed. Each message counts 64 bytes more than its payload. Default: 1 MiB.
   */
  readonly receiveQueueSize?: number;
  /**
   * Bytes that are read beyond `receiveQueueSize` while the application reads no messages, to
   * answer pings and to detect the end of the connection. 0: none. Default: 16 MiB.
   */
  readonly readAheadSize?: number;
  /** Servers only: accepts frames without a mask, which RFC 6455 §5.1 forbids. Default: false. */
  readonly acceptUnmaskedFrames?: boolean;
  /**
   * Time limit of the closing handshake in ms, counted from when output was last sent: a slow peer
   * gets everything that was written before the Close. After an error of the peer it is counted
   * from the error. Default: 5,000.
   */
  readonly closeTimeout?: number;
  /**
   * Time limit of the whole closing in ms, output that is still to be sent included. Infinity: no
   * limit. Default: 300,000.
   */
  readonly maxCloseTime?: number;
  /**
   * Sends a ping after `interval` ms of silence of the peer, and drops the connection after
   * `timeout` ms more. False: no heartbeat. Default: 30,000 and 15,000.
   */
  readonly heartbeat?: Partial<Heartbeat> | false;
  /**
   * Minimum rate of a message that is being received: it must end, or bring `bytes` more bytes, in
   * each `interval` ms; otherwise the connection is closed with 1013. False: no minimum. Default:
   * 1,024 and 60,000.
   */
  readonly minDataRate?: Partial<MinDataRate> | false;
  /**
   * Limit of the memory of all connections that share the budget. A number of bytes creates a
   * budget for this server or this connection; Infinity: no limit. Default: `sharedMemoryBudget`.
   */
  readonly memoryBudget?: number | MemoryBudget;
  /** Sets TCP_NODELAY on sockets, which disables Nagle's algorithm. Default: true. */
  readonly noDelay?: boolean;
  /**
   * Which APIs of Node.js are used. `"auto"`: private ones too, where a check at run time shows
   * that they work; they need less CPU time and memory. `"socket"`: public ones only. Default:
   * `"auto"`.
   */
  readonly transport?: "auto" | "socket";
  /**
   * Offers or accepts permessage-deflate (RFC 7692). True: with default options. Default: false.
   */
  readonly compression?: boolean | CompressionOptions;
  /** Source of time and timers, for tests. Default: the system clock. */
  readonly clock?: Clock;
  /**
   * Fills an array with random bytes for masking keys and the handshake key, for repeatable tests.
   * Predictable bytes allow attacks on proxies (RFC 6455 §10.3). Default: node:crypto.
   */
  readonly fillRandom?: RandomSource;
}

/** Minimum rate of a message that is being received. */
export interface MinDataRate {
  /** Payload bytes that must arrive in each interval. Default: 1,024. */
  readonly bytes: number;
  /** Length of the interval in ms. Default: 60,000. */
  readonly interval: number;
}

const HEARTBEAT: OptionNames<Heartbeat> = { interval: true, timeout: true };
const PROGRESS: OptionNames<MinDataRate> = { bytes: true, interval: true };

export const CONNECTION_OPTIONS: OptionNames<ConnectionOptions> = {
  maxFrameSize: true,
  maxMessageSize: true,
  maxWriteBufferSize: true,
  writeBufferSize: true,
  receiveQueueSize: true,
  readAheadSize: true,
  acceptUnmaskedFrames: true,
  closeTimeout: true,
  maxCloseTime: true,
  heartbeat: { ...HEARTBEAT },
  minDataRate: { ...PROGRESS },
  memoryBudget: true,
  noDelay: true,
  transport: true,
  compression: { ...COMPRESSION_OPTIONS },
  clock: true,
  fillRandom: true,
};

const DEFAULT_HEARTBEAT: Heartbeat = { interval: 30_000, timeout: 15_000 };
const DEFAULT_DATA_RATE: MinDataRate = { bytes: 1024, interval: 60_000 };

/** Connection options, checked and complete. One object serves all connections of a server. */
export interface ConnectionSettings {
  readonly runtime: NodeRuntime;
  /** What the protocol of a connection without compression is given. */
  readonly protocol: ProtocolConfig;
  readonly maxMessageSize: number;
  readonly maxWriteBufferSize: number;
  readonly closeTimeout: number;
  readonly heartbeat: Heartbeat | undefined;
  readonly writeBufferSize: number;
  readonly receiveQueueSize: number;
  readonly readAheadSize: number;
  readonly minDataRate: MinDataRate | undefined;
  readonly memory: MemoryLedger;
  readonly noDelay: boolean;
  readonly transport: TransportKind;
  readonly clock: Clock;
  /** Those of the clock. */
  readonly flusher: Flusher;
  readonly readScheduler: ReadScheduler;
  readonly deadlines: Deadlines;
  readonly fillRandom: RandomSource;
  /** Undefined: no compression. */
  readonly deflate: DeflateSettings | undefined;
}

/** What all compressed connections with the same settings share. */
export interface DeflateSettings {
  readonly compression: CompressionSettings;
  /** Makes the codec for what a handshake has negotiated. */
  readonly codecFor: CodecFactory;
  /** What the protocol is given where it is in use. */
  readonly protocol: ProtocolConfig;
}

/** Checks every option; throws INVALID_ARGUMENT saying what was expected and what came. */
export function connectionSettings(
  role: "client" | "server",
  options: ConnectionOptions,
  runtime: NodeRuntime = defaultRuntime,
): ConnectionSettings {
  if (typeof options !== "object" || options === null) {
    throw invalidOption("options", "an object", options, describe(options));
  }
  checkFunction(options, "fillRandom");
  const { fillRandom = randomFill } = options;
  const clock = checkClock(options.clock) ?? systemClock;
  const transport = checkTransport(options.transport);
  const protocol: ProtocolOptions = {
    role,
    keys: options.fillRandom === undefined ? runtime.maskingKeys : new MaskingKeys(fillRandom),
    compression: false,
    maxFrameSize: size(options, "maxFrameSize", DEFAULT_LIMITS.maxFrameSize, 125),
    maxMessageSize: size(options, "maxMessageSize", DEFAULT_LIMITS.maxMessageSize, 0),
    maxWriteBufferSize: size(options, "maxWriteBufferSize", DEFAULT_LIMITS.maxWriteBufferSize, 1),
    acceptUnmaskedFrames: flag(options, "acceptUnmaskedFrames", false),
    closeTimeout: time(options, "closeTimeout", 5_000),
    maxCloseTime: options.maxCloseTime === Infinity ? Infinity : time(options, "maxCloseTime", 300_000),
    heartbeat: heartbeat(options.heartbeat),
  };
  const compression = compressionSettings(options.compression);
  const deflate = compression && {
    compression,
    codecFor: codecFactory(zlibEngine(transport === "auto" ? runtime : runtime.publicApis, compression)),
    protocol: new ProtocolConfig(runtime, { ...protocol, compression: true }),
  };
  return Object.freeze({
    runtime,
    protocol: new ProtocolConfig(runtime, protocol),
    maxMessageSize: protocol.maxMessageSize,
    maxWriteBufferSize: protocol.maxWriteBufferSize,
    closeTimeout: protocol.closeTimeout,
    heartbeat: protocol.heartbeat,
    fillRandom,
    writeBufferSize: size(options, "writeBufferSize", 128 * 1024, 0),
    receiveQueueSize: size(options, "receiveQueueSize", 1024 * 1024, 0),
    readAheadSize: size(options, "readAheadSize", 16 * 1024 * 1024, 0),
    noDelay: flag(options, "noDelay", true),
    transport,
    minDataRate: minDataRate(options.minDataRate),
    memory: ledgerOf(memoryBudget(options.memoryBudget)),
    clock,
    flusher: runtime.flushers.of(clock),
    readScheduler: runtime.readSchedulers.of(clock),
    deadlines: runtime.deadlines.of(clock),
    deflate,
  });
}

function checkTransport(value: unknown = "auto"): TransportKind {
  if (value === "auto" || value === "socket") return value;
  throw invalidOption("transport", '"auto" or "socket"', value, describe(value));
}

function checkClock(clock: Clock | undefined): Clock | undefined {
  const { now, after, endOfTick }: Partial<Clock> = clock === undefined ? systemClock : Object(clock);
  if ([now, after, endOfTick].every((each) => typeof each === "function")) return clock;
  throw invalidOption("clock", "an object with the functions now, after and endOfTick", clock, describe(clock));
}

function heartbeat(value: Partial<Heartbeat> | false | undefined): Heartbeat | undefined {
  if (value === false) return undefined;
  if (value !== undefined && (typeof value !== "object" || value === null)) {
    throw invalidOption("heartbeat", "{ interval, timeout } or false", value, describe(value));
  }
  const given = value ?? {};
  return {
    interval: time(given, "interval", DEFAULT_HEARTBEAT.interval, "heartbeat."),
    timeout: time(given, "timeout", DEFAULT_HEARTBEAT.timeout, "heartbeat."),
  };
}

function minDataRate(value: Partial<MinDataRate> | false | undefined): MinDataRate | undefined {
  if (value === false) return undefined;
  if (value !== undefined && (typeof value !== "object" || value === null)) {
    throw invalidOption("minDataRate", "{ bytes, interval } or false", value, describe(value));
  }
  const given = value ?? {};
  return {
    bytes: size(given, "bytes", DEFAULT_DATA_RATE.bytes, 1, "minDataRate."),
    interval: time(given, "interval", DEFAULT_DATA_RATE.interval, "minDataRate."),
  };
}

function memoryBudget(value: number | MemoryBudget | undefined): MemoryBudget {
  if (value === undefined) return sharedMemoryBudget;
  if (value instanceof MemoryBudget) return value;
  if (typeof value === "number") return new MemoryBudget(value);
  throw invalidOption("memoryBudget", "a number of bytes or a MemoryBudget", value, describe(value));
}
