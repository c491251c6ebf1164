import { invalidArgument } from "../arguments.ts";
import { MaskingKeys } from "../bytes/mask.ts";

export interface ProtocolLimits {
  /** Largest frame payload taken, and made, in bytes. Default 16 MiB; at least 1. */
  readonly maxFrameSize: number;
  /** Largest message taken, all its fragments together, in bytes. Default 64 MiB. */
  readonly maxMessageSize: number;
  /** Largest amount of encoded bytes that may wait in the output. One message is always taken when nothing waits. Default 64 MiB. */
  readonly maxWriteBufferSize: number;
}

export const DEFAULT_LIMITS: ProtocolLimits = {
  maxFrameSize: 16 * 1024 * 1024,
  maxMessageSize: 64 * 1024 * 1024,
  maxWriteBufferSize: 64 * 1024 * 1024,
};

/** Pings a peer that has been silent for `interval` ms, and ends the connection when nothing comes for `timeout` ms after that. */
export interface Heartbeat {
  readonly interval: number;
  readonly timeout: number;
}

/** All of it is needed: this package has no defaults but the limits. Infinity switches a limit or a time off. */
export interface ProtocolOptions extends ProtocolLimits {
  readonly role: "client" | "server";
  /** Where masking keys come from; a client needs it. */
  readonly keys: MaskingKeys | undefined;
  /** Server only. Default false: RFC 6455 §5.1 forbids it. */
  readonly acceptUnmaskedFrames: boolean;
  readonly compression: boolean;
  readonly heartbeat: Heartbeat | undefined;
  /** How long the closing handshake may take, in ms, counted from when output was last sent: see `Protocol.outputSent`. */
  readonly closeTimeout: number;
  /** How long closing may take in all, in ms, however much is still sent. Default Infinity. */
  readonly maxCloseTime?: number;
}

/** Throws INVALID_ARGUMENT for the first option that can't be. */
export function checkOptions(options: ProtocolOptions): void {
  const { role, keys, heartbeat } = options;
  if (role !== "client" && role !== "server") throw invalidArgument("role", '"client" or "server"', role);
  // RFC 6455 §5.1: "a client MUST mask all frames that it sends"
  if (role === "client" && !(keys instanceof MaskingKeys)) {
    throw invalidArgument("keys", "MaskingKeys, without which a client can't mask", keys);
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
  throw invalidArgument(what, `bytes, an integer of at least ${least}, or Infinity`, value);
}

function checkTime(what: string, value: number): void {
  if (typeof value === "number" && value > 0) return;
  throw invalidArgument(what, "milliseconds, more than 0", value);
}
