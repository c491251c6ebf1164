import {
  BINARY,
  binaryEvent,
  bytes,
  CLOSED_BY_SUITE,
  type ConformanceCase,
  hex,
  type Payload,
  repeat,
  type Step,
  TEXT,
  textEvent,
} from "./case.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const TEXT_PATTERN = bytes("BAsd7&jh23");
const BINARY_PATTERN = hex("00 fe 23 fa f0");

const MESSAGE_SIZES = [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB];
const FRAGMENT_SIZES = [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB];
const CHOP_SIZES = [64, 128, 256, 512, KIB, 2 * KIB];
const ROUND_TRIP_SIZES = [0, 16, 64, 256, KIB, 4 * KIB];
const ROUND_TRIPS = 1000;

function echoed(id: string, title: string, isText: boolean, payload: Payload, step: Step): ConformanceCase {
  return {
    id,
    title: `${isText ? "text" : "binary"}: ${title}`,
    steps: [step],
    ok: [isText ? textEvent(payload) : binaryEvent(payload)],
    close: CLOSED_BY_SUITE,
  };
}

function sized(id: string, isText: boolean, length: number, chop: "whole" | number): ConformanceCase {
  const payload = repeat(isText ? TEXT_PATTERN : BINARY_PATTERN, length);
  const title = chop === "whole" ? `a message of ${length / KIB} KiB` : `1 MiB, ${chop} bytes at a time`;
  const frames = [{ opcode: isText ? TEXT : BINARY, payload }];
  return echoed(id, title, isText, payload, { do: "send", frames, chop });
}

function fragmented(id: string, isText: boolean, fragmentSize: number): ConformanceCase {
  const payload = repeat(id === "9.4.1" ? hex("fe") : bytes("*"), 4 * MIB);
  const title = `4 MiB in fragments of ${fragmentSize} bytes`;
  return echoed(id, title, isText, payload, { do: "send-message", text: isText, payload, fragmentSize });
}

function roundTrips(id: string, isText: boolean, length: number): ConformanceCase {
  return {
    id,
    title: `${isText ? "text" : "binary"}: ${ROUND_TRIPS} round trips of ${length} bytes`,
    steps: [
      {
        do: "round-trips",
        count: ROUND_TRIPS,
        text: isText,
        length,
        source: isText ? bytes("*") : hex("fe"),
        fragmentSize: 0,
      },
    ],
    ok: [],
    close: CLOSED_BY_SUITE,
  };
}

/** Limits and performance. */
export const GROUP_9: readonly ConformanceCase[] = [
  ...MESSAGE_SIZES.map((length, index) => sized(`9.1.${index + 1}`, true, length, "whole")),
  ...MESSAGE_SIZES.map((length, index) => sized(`9.2.${index + 1}`, false, length, "whole")),
  ...FRAGMENT_SIZES.map((size, index) => fragmented(`9.3.${index + 1}`, true, size)),
  ...FRAGMENT_SIZES.map((size, index) => fragmented(`9.4.${index + 1}`, false, size)),
  ...CHOP_SIZES.map((chop, index) => sized(`9.5.${index + 1}`, true, MIB, chop)),
  ...CHOP_SIZES.map((chop, index) => sized(`9.6.${index + 1}`, false, MIB, chop)),
  ...ROUND_TRIP_SIZES.map((length, index) => roundTrips(`9.7.${index + 1}`, true, length)),
  ...ROUND_TRIP_SIZES.map((length, index) => roundTrips(`9.8.${index + 1}`, false, length)),
];
