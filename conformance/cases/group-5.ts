import {
  bytes,
  type Chop,
  CLOSED_BY_SUITE,
  type ConformanceCase,
  continuation,
  type Event,
  failedByRemote,
  type Frame,
  ping,
  PING,
  PONG,
  pongEvent,
  text,
  textEvent,
} from "./case.ts";

const HOW = new Map<Chop, string>([
  ["whole", "at once"],
  ["frames", "frame by frame"],
  [1, "byte by byte"],
]);

function legal(id: string, title: string, frames: readonly Frame[], chop: Chop, ok: readonly Event[]): ConformanceCase {
  return {
    id,
    title: `${title}, ${HOW.get(chop)}`,
    steps: [{ do: "send", frames, chop }],
    ok,
    close: CLOSED_BY_SUITE,
  };
}

function illegal(id: string, title: string, frames: readonly Frame[], chop: Chop = "whole"): ConformanceCase {
  return {
    id,
    title: `${title}, ${HOW.get(chop)}`,
    steps: [{ do: "send", frames, chop }],
    ok: [],
    close: failedByRemote(1002),
  };
}

const TWO = [text("fragment1", { fin: false }), continuation("fragment2", true)];
const TWO_AROUND_PING = [TWO[0], ping("ping payload"), TWO[1]].filter((frame) => frame !== undefined);
const WHOLE = textEvent("fragment1fragment2");

function orphan(fin: boolean): readonly Frame[] {
  return [continuation("non-continuation payload", fin), text("Hello, world!")];
}

function orphanThenTwo(fin: boolean): readonly Frame[] {
  return [continuation("fragment1", fin), text("fragment2", { fin: false }), continuation("fragment3", true)];
}

/**
 * Five fragments with two pings between them. The first ping must be answered before the message is
 * complete.
 */
function pingsBetween(id: string, chop: Chop): ConformanceCase {
  return {
    id,
    title: `five fragments, with pings after the second and the fourth, ${HOW.get(chop)}`,
    steps: [
      {
        do: "send",
        frames: [text("fragment1", { fin: false }), continuation("fragment2", false), ping("pongme 1!")],
        chop,
      },
      { do: "await-events", count: 1 },
      {
        do: "send",
        frames: [
          continuation("fragment3", false),
          continuation("fragment4", false),
          ping("pongme 2!"),
          continuation("fragment5", true),
        ],
        chop,
      },
    ],
    ok: [pongEvent("pongme 1!"), pongEvent("pongme 2!"), textEvent("fragment1fragment2fragment3fragment4fragment5")],
    close: CLOSED_BY_SUITE,
  };
}

/** Fragmentation. */
export const GROUP_5: readonly ConformanceCase[] = [
  illegal("5.1", "a ping in two fragments", [
    { opcode: PING, fin: false, payload: bytes("fragment1") },
    continuation("fragment2", true),
  ]),
  illegal("5.2", "a pong in two fragments", [
    { opcode: PONG, fin: false, payload: bytes("fragment1") },
    continuation("fragment2", true),
  ]),
  legal("5.3", "a text message in two fragments", TWO, "whole", [WHOLE]),
  legal("5.4", "a text message in two fragments", TWO, "frames", [WHOLE]),
  legal("5.5", "a text message in two fragments", TWO, 1, [WHOLE]),
  legal("5.6", "two fragments around a ping", TWO_AROUND_PING, "whole", [pongEvent("ping payload"), WHOLE]),
  legal("5.7", "two fragments around a ping", TWO_AROUND_PING, "frames", [pongEvent("ping payload"), WHOLE]),
  legal("5.8", "two fragments around a ping", TWO_AROUND_PING, 1, [pongEvent("ping payload"), WHOLE]),
  illegal("5.9", "a last continuation of nothing, then a message", orphan(true)),
  illegal("5.10", "a last continuation of nothing, then a message", orphan(true), "frames"),
  illegal("5.11", "a last continuation of nothing, then a message", orphan(true), 1),
  illegal("5.12", "a continuation of nothing, then a message", orphan(false)),
  illegal("5.13", "a continuation of nothing, then a message", orphan(false), "frames"),
  illegal("5.14", "a continuation of nothing, then a message", orphan(false), 1),
  {
    ...illegal("5.15", "a message in two fragments, a continuation of nothing, a message", [
      ...TWO,
      continuation("fragment3", false),
      text("fragment4"),
    ]),
    ok: [WHOLE],
    nonStrict: [],
  },
  illegal("5.16", "twice: a continuation of nothing, a message in two fragments", [
    ...orphanThenTwo(false),
    ...orphanThenTwo(false),
  ]),
  illegal("5.17", "twice: a last continuation of nothing, a message in two fragments", [
    ...orphanThenTwo(true),
    ...orphanThenTwo(true),
  ]),
  illegal("5.18", "two fragments, the second again with the opcode of text", [
    text("fragment1", { fin: false }),
    text("fragment2"),
  ]),
  pingsBetween("5.19", "whole"),
  pingsBetween("5.20", "frames"),
];
