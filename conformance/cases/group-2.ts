import {
  bytes,
  type Chop,
  close,
  CLOSED_BY_SUITE,
  type ConformanceCase,
  failedByRemote,
  hex,
  ping,
  PING,
  PONG,
  pongEvent,
} from "./case.ts";

const NOT_UTF8 = hex("00fffefdfcfb00ff");
const UNSOLICITED = bytes("unsolicited pong payload");
const LONGEST_PAYLOAD = Buffer.alloc(125, 0xfe);
const TEN = Array.from({ length: 10 }, (_, index) => `payload-${index}`);

function pinged(id: string, title: string, payload: Uint8Array, chop: Chop = "whole"): ConformanceCase {
  return {
    id,
    title,
    steps: [{ do: "send", frames: [{ opcode: PING, payload }], chop }],
    ok: [pongEvent(payload)],
    close: CLOSED_BY_SUITE,
  };
}

function unsolicited(id: string, title: string, payload: Uint8Array): ConformanceCase {
  return {
    id,
    title,
    steps: [{ do: "send", frames: [{ opcode: PONG, payload }, close(1000)], chop: "whole" }],
    ok: [],
    close: CLOSED_BY_SUITE,
  };
}

function ten(id: string, title: string, chop: Chop): ConformanceCase {
  return {
    id,
    title,
    steps: [{ do: "send", frames: TEN.map((payload) => ping(payload)), chop }],
    ok: TEN.map((payload) => pongEvent(payload)),
    close: CLOSED_BY_SUITE,
  };
}

/** Pings and pongs. */
export const GROUP_2: readonly ConformanceCase[] = [
  pinged("2.1", "a ping without payload", bytes("")),
  pinged("2.2", "a ping with text", bytes("Hello, world!")),
  pinged("2.3", "a ping with bytes that are not UTF-8", NOT_UTF8),
  pinged("2.4", "a ping with 125 bytes, the maximum", LONGEST_PAYLOAD),
  {
    id: "2.5",
    title: "a ping with 126 bytes, one too many",
    steps: [{ do: "send", frames: [{ opcode: PING, payload: Buffer.alloc(126, 0xfe) }], chop: "whole" }],
    ok: [],
    close: failedByRemote(1002),
  },
  pinged("2.6", "a ping with 125 bytes, byte by byte", LONGEST_PAYLOAD, 1),
  unsolicited("2.7", "an unsolicited pong without payload", bytes("")),
  unsolicited("2.8", "an unsolicited pong with payload", UNSOLICITED),
  {
    id: "2.9",
    title: "an unsolicited pong, then a ping",
    steps: [{ do: "send", frames: [{ opcode: PONG, payload: UNSOLICITED }, ping("ping payload")], chop: "whole" }],
    ok: [pongEvent("ping payload")],
    close: CLOSED_BY_SUITE,
  },
  ten("2.10", "ten pings in a row, each answered with a pong, although the RFC permits fewer", "whole"),
  ten("2.11", "ten pings in a row, byte by byte", 1),
];
