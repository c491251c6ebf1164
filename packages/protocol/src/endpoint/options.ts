import { invalidOption } from "../arguments.ts";
import { MaskingKeys } from "../frames/masking-keys.ts";
import { memoryOf, type Runtime } from "../runtime/runtime.ts";
import { Sender } from "./sender.ts";

/** Limits in bytes. Infinity switches one off. */
export interface ProtocolLimits {
  /**
   * Largest frame payload that is received, and that is sent in one frame, in bytes. At least 1.
   * Default: 16 MiB.
   */
  readonly maxFrameSize: number;
  /** Largest message that is received, all fragments together, in bytes. Default: 64 MiB. */
  readonly maxMessageSize: number;
  /**
   * Limit of the encoded bytes in the output. One message is always accepted when the output is
   * empty. Default: 64 MiB.
   */
  readonly maxWriteBufferSize: number;
}

/** The default limits. */
export const DEFAULT_LIMITS: ProtocolLimits = {
  maxFrameSize: 16 * 1024 * 1024,
  maxMessageSize: 64 * 1024 * 1024,
  maxWriteBufferSize: 64 * 1024 * 1024,
};

/**
 * Sends a ping after `interval` ms of silence of the peer, and ends the connection after `timeout`
 * ms more.
 */
export interface Heartbeat {
  /** Silence in ms after which a ping is sent. */
  readonly interval: number;
  /** Silence in ms after the ping that ends the connection. */
  readonly timeout: number;
}

/**
 * Options of a protocol. All are required except `maxCloseTime`; `DEFAULT_LIMITS` has the limits.
 * Infinity: no limit, or no timeout.
 */
export interface ProtocolOptions extends ProtocolLimits {
  /** The role of this end. */
  readonly role: "client" | "server";
  /** Source of masking keys. Required for a client. */
  readonly keys: MaskingKeys | undefined;
  /** Servers only: accepts frames without a mask, which RFC 6455 §5.1 forbids. */
  readonly acceptUnmaskedFrames: boolean;
  /** Whether permessage-deflate was negotiated. */
  readonly compression: boolean;
  /** Undefined: no pings. */
  readonly heartbeat: Heartbeat | undefined;
  /**
   * Time limit of the closing handshake in ms, counted from when output was last sent: see
   * `Protocol.outputSent`.
   */
  readonly closeTimeout: number;
  /**
   * Time limit of the whole closing in ms, output that is still to be sent included. Default:
   * Infinity.
   */
  readonly maxCloseTime?: number;
}

/** The encoder of all connections that have a configuration. For the files of this package. */
export let senderOf: (config: ProtocolConfig) => Sender;

/**
 * Options that were validated once, frozen, and the runtime of the connections that have them. One
 * configuration serves any number of connections.
 */
export class ProtocolConfig implements ProtocolOptions {
  /** The role of this end. */
  readonly role: "client" | "server";
  readonly keys: MaskingKeys | undefined;
  /** As in ProtocolLimits. */
  readonly maxFrameSize: number;
  /** As in ProtocolLimits. */
  readonly maxMessageSize: number;
  /** As in ProtocolLimits. */
  readonly maxWriteBufferSize: number;
  readonly acceptUnmaskedFrames: boolean;
  readonly compression: boolean;
  readonly heartbeat: Heartbeat | undefined;
  readonly closeTimeout: number;
  readonly maxCloseTime: number;
  readonly #sender: Sender;

  static {
    senderOf = (config) => config.#sender;
  }

  /** Throws INVALID_ARGUMENT for the first option that is invalid. */
  constructor(runtime: Runtime, options: ProtocolOptions) {
    checkOptions(options);
    this.role = options.role;
    this.keys = options.role === "client" ? options.keys : undefined;
    this.maxFrameSize = options.maxFrameSize;
    this.maxMessageSize = options.maxMessageSize;
    this.maxWriteBufferSize = options.maxWriteBufferSize;
    this.acceptUnmaskedFrames = options.acceptUnmaskedFrames;
    this.compression = options.compression;
    this.heartbeat = options.heartbeat === undefined ? undefined : Object.freeze({ ...options.heartbeat });
    this.closeTimeout = options.closeTimeout;
    this.maxCloseTime = options.maxCloseTime ?? Infinity;
    this.#sender = new Sender(memoryOf(runtime), this.keys, this.maxFrameSize);
    Object.freeze(this);
  }
}

/** Throws INVALID_ARGUMENT for the first option that is invalid. */
function checkOptions(options: ProtocolOptions): void {
  const { role, keys, heartbeat } = options;
  if (role !== "client" && role !== "server") throw invalidOption("role", '"client" or "server"', role);
  // RFC 6455 §5.1: "a client MUST mask all frames that it sends"
  if (role === "client" && !(keys instanceof MaskingKeys)) {
    throw invalidOption("keys", "MaskingKeys for a client", keys);
  }
  checkSize("maxFrameSize", options.maxFrameSize, 1);
  checkSize("maxMessageSize", options.maxMessageSize, 0);
  checkSize("maxWriteBufferSize", options.maxWriteBufferSize, 0);
  checkTime("closeTimeout", options.closeTimeout);
  if (options.maxCloseTime !== undefined) checkTime("maxCloseTime", options.maxCloseTime);
  if (heartbeat !== undefined) {
    checkTime("heartbeat.interval", heartbeat.interval);
    checkTime("heartbeat.timeout", heartbeat.timeout);
  }
}

function checkSize(what: string, value: number, least: number): void {
  if (value === Infinity || (Number.isInteger(value) && value >= least)) return;
  throw invalidOption(what, `an integer of at least ${least} (bytes), or Infinity`, value);
}

function checkTime(what: string, value: number): void {
  if (typeof value === "number" && value > 0) return;
  throw invalidOption(what, "a number above 0 (ms)", value);
}
