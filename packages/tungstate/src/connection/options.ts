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
import { type Deadlines, deadlinesOf } from "../schedule/deadlines.ts";
import { zlibEngine } from "../deflate/engine.ts";
import {
  COMPRESSION_OPTIONS,
  type CompressionOptions,
  type CompressionSettings,
  compressionSettings,
} from "../deflate/settings.ts";
import { type Flusher, flusherOf } from "../schedule/flusher.ts";
import { type ReadScheduler, readSchedulerOf } from "../schedule/read-scheduler.ts";
import { randomFill } from "../native/primitives.ts";
import { defaultRuntime, type NodeRuntime } from "../native/runtime.ts";
import { checkFunction, flag, size, time } from "../options/check.ts";
import { describe } from "../options/describe.ts";
import type { OptionNames } from "../options/names.ts";

/** What can be set for any connection, whichever its role. Sizes are bytes, times milliseconds. */
export interface ConnectionOptions extends Partial<ProtocolLimits> {
  /**
   * Output is written as soon as half of this waits, at the latest at the end of the turn; above it `write` returns false and `send`
   * waits. Default 128 KiB.
   */
  readonly writeBufferSize?: number;
  /** What may wait for a reader before the peer is made to wait (64 bytes are counted for each message on top of its own). Default 1 MiB. */
  readonly receiveQueueSize?: number;
  /**
   * How many bytes more are read while nobody takes what waits, so that pings are answered and the end of the connection is noticed all the same: `receiveQueueSize`
   * and this are the most that waits for a reader. Default 16 MiB; 0 for none.
   */
  readonly readAheadSize?: number;
  /** Server only: take frames that are not masked, which RFC 6455 forbids. Default false. */
  readonly acceptUnmaskedFrames?: boolean;
  /**
   * How long the end of the connection may take before the stream is dropped, counted from when output has last left: a peer that reads, however slowly, gets all
   * that was written before the Close. After an error of the peer's, counted from the error. Default 5,000.
   */
  readonly closeTimeout?: number;
  /** How long the end of the connection may take in all, however steadily the peer reads. Default 300,000; Infinity for no limit. */
  readonly maxCloseTime?: number;
  /**
   * Ping a peer that was silent for `interval`, drop the connection after `timeout` more. Default 30,000 and 15,000; `false`
   * turns it off.
   */
  readonly heartbeat?: Partial<Heartbeat> | false;
  /**
   * What a message that has begun has to bring: `bytes` in each `interval` ms, or its end; else the connection is ended with 1013. Default
   * 1,024 and 60,000; `false` turns it off.
   */
  readonly minDataRate?: Partial<MinDataRate> | false;
  /**
   * What all connections with the same budget may hold together, in bytes (a budget for this server, or this connection, alone), or a budget
   * shared with others. Default `sharedMemoryBudget`; Infinity for no limit.
   */
  readonly memoryBudget?: number | MemoryBudget;
  /** Switch Nagle's algorithm off on sockets. Default true. */
  readonly noDelay?: boolean;
  /** permessage-deflate, with the peers that agree to it. Default false. */
  readonly compression?: boolean | CompressionOptions;
  /** Time and turns; for tests. Default the system's. */
  readonly clock?: Clock;
  /**
   * Fills an array with random bytes, of which masking keys and the handshake's key are made; for tests that have to run the same way
   * again. Whoever can foresee them can get a proxy to take a message for a request (RFC 6455 §10.3). Default node:crypto's.
   */
  readonly fillRandom?: RandomSource;
}

/** What counts as progress of a message. */
export interface MinDataRate {
  /** The least payload bytes that have to come in each interval. */
  readonly bytes: number;
  /** ms */
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
    codecFor: codecFactory(zlibEngine(compression)),
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
    minDataRate: minDataRate(options.minDataRate),
    memory: ledgerOf(memoryBudget(options.memoryBudget)),
    clock,
    flusher: flusherOf(clock),
    readScheduler: readSchedulerOf(clock),
    deadlines: deadlinesOf(clock),
    deflate,
  });
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
