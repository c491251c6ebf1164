import {
  bytes,
  CLOSED_BY_SUITE,
  type ConformanceCase,
  continuation,
  failedByRemote,
  type Frame,
  hex,
  type Step,
  text,
  textEvent,
} from "./case.ts";
import { UTF8_SEQUENCES } from "./utf8-sequences.ts";

const HELLO = "Hello-µ@ßöäüàá-UTF-8!!";
const KOSME = hex("ce ba e1 bd b9 cf 83 ce bc ce b5");
const EDITED = bytes("edited");
const SURROGATE_INSIDE = Buffer.concat([KOSME, hex("ed a0 80"), EDITED]);
/** Valid for 12 bytes; the 13th makes it a code point above U+10FFFF. */
const TOO_LARGE_INSIDE = Buffer.concat([KOSME, hex("f4 90 80 80"), EDITED]);

function valid(id: string, title: string, steps: readonly Step[], payload: Uint8Array): ConformanceCase {
  return { id, title, steps, ok: [textEvent(payload)], close: CLOSED_BY_SUITE };
}

function send(...frames: readonly Frame[]): Step {
  return { do: "send", frames, chop: "whole" };
}

function byteFragments(payload: Uint8Array): Step {
  return { do: "send-message", text: true, payload, fragmentSize: 1 };
}

function invalid(id: string, title: string, step: Step): ConformanceCase {
  return { id, title, steps: [step], ok: [], close: failedByRemote(1007) };
}

/**
 * The remote must fail the connection at the byte that makes the text invalid, not at the end of
 * the message.
 */
function failFast(id: string, title: string, steps: readonly Step[]): ConformanceCase {
  return {
    id,
    title,
    steps,
    ok: [{ is: "checkpoint", name: "A" }],
    nonStrict: [
      { is: "checkpoint", name: "A" },
      { is: "checkpoint", name: "B" },
    ],
    close: failedByRemote(1007),
  };
}

function inFrames(first: number, second: number): readonly Step[] {
  return [
    send(text(TOO_LARGE_INSIDE.subarray(0, first), { fin: false })),
    { do: "checkpoint", name: "A" },
    send(continuation(TOO_LARGE_INSIDE.subarray(first, second), false)),
    { do: "checkpoint", name: "B" },
    send(continuation(TOO_LARGE_INSIDE.subarray(second), true)),
  ];
}

function inPieces(...cuts: readonly number[]): readonly Step[] {
  return [{ do: "send-in-pieces", frame: text(TOO_LARGE_INSIDE), cuts, checkpoints: ["A", "B"] }];
}

/** UTF-8. */
export const GROUP_6: readonly ConformanceCase[] = [
  valid("6.1.1", "an empty text message", [send(text(""))], bytes("")),
  valid(
    "6.1.2",
    "three empty fragments",
    [send(text("", { fin: false }), continuation("", false), continuation("", true))],
    bytes(""),
  ),
  valid(
    "6.1.3",
    "an empty fragment, one with text, an empty one",
    [send(text("", { fin: false }), continuation("middle frame payload", false), continuation("", true))],
    bytes("middle frame payload"),
  ),
  valid("6.2.1", "text beyond ASCII", [send(text(HELLO))], bytes(HELLO)),
  valid(
    "6.2.2",
    "text beyond ASCII, in two fragments between characters",
    [send(text("Hello-µ@ßöä", { fin: false }), continuation("üàá-UTF-8!!", true))],
    bytes(HELLO),
  ),
  valid("6.2.3", "text beyond ASCII, a fragment a byte", [byteFragments(bytes(HELLO))], bytes(HELLO)),
  valid("6.2.4", "Greek text, a fragment a byte", [byteFragments(KOSME)], KOSME),
  invalid("6.3.1", "a surrogate in the middle of text", send(text(SURROGATE_INSIDE))),
  invalid("6.3.2", "a surrogate in the middle of text, a fragment a byte", byteFragments(SURROGATE_INSIDE)),
  failFast("6.4.1", "three fragments, the second with a code point too large", inFrames(11, 15)),
  failFast("6.4.2", "three fragments, the second with just the byte that makes it invalid", inFrames(12, 13)),
  failFast("6.4.3", "one frame in three writes, the second with a code point too large", inPieces(11, 15)),
  failFast("6.4.4", "one frame in three writes, the second just the byte that makes it invalid", inPieces(12, 13)),
  ...UTF8_SEQUENCES.flatMap(({ title, sequences }, group) =>
    sequences.map(({ isValid, octets }, index) => {
      const id = `6.${group + 5}.${index + 1}`;
      const step = send(text(octets));
      return isValid ? valid(id, title, [step], octets) : invalid(id, title, step);
    }),
  ),
];
