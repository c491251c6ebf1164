import { bytes, CLOSED_BY_SUITE, type ConformanceCase, repeat, textEvent } from "./case.ts";

const PAYLOAD = repeat(bytes("*"), 65536);

/** Fragments of a size that does not divide the payload evenly. */
export const GROUP_10: readonly ConformanceCase[] = [
  {
    id: "10.1.1",
    title: "a text message of 65536 bytes in 51 fragments of at most 1300",
    steps: [{ do: "send-message", text: true, payload: PAYLOAD, fragmentSize: 1300 }],
    ok: [textEvent(PAYLOAD)],
    close: CLOSED_BY_SUITE,
  },
];
