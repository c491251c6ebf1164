import type { CodeAndReason } from "../codes.ts";

// How to tell a client of the Protobuf variant that the hub does not speak it. SDKs act on a
// disconnect push at any time; some of them take any close code before their connect reply for a
// lost connection, and reconnect forever.

const REPLY_PUSH = 4; // field numbers of centrifugal/protocol, client.proto
const PUSH_DISCONNECT = 11;
const DISCONNECT_CODE = 1;
const DISCONNECT_REASON = 2;
const VARINT = 0; // wire types
const LENGTH_DELIMITED = 2;

/** A disconnect push in Protobuf, with its length in front as in every frame of that variant. */
export function protobufDisconnect({ code, reason }: CodeAndReason): Uint8Array {
  const disconnect = Buffer.concat([
    tag(DISCONNECT_CODE, VARINT),
    varint(code),
    field(DISCONNECT_REASON, Buffer.from(reason)),
  ]);
  const reply = field(REPLY_PUSH, field(PUSH_DISCONNECT, disconnect));
  return Buffer.concat([varint(reply.length), reply]);
}

function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([tag(number, LENGTH_DELIMITED), varint(bytes.length), bytes]);
}

function tag(number: number, wireType: number): Buffer {
  return varint(number * 8 + wireType);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
