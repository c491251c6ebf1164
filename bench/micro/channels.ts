import type { Message, Protocol } from "@tungstate/protocol";
import { channel } from "node:diagnostics_channel";
import { framesOf, serverProtocol } from "./frames.ts";
import type { Candidate, Comparison } from "./harness.ts";

const SIZE = 64; // bytes of a message
const IN_FLIGHT = 32; // messages in one chunk
const messages = channel("tungstate:bench:message");

/** Receives the frames of a chunk and writes them back, without a socket. */
function echo(name: string, onMessage: (message: Message) => void): Candidate {
  return {
    name,
    batch: () => IN_FLIGHT,
    prepare(size) {
      const { chunk, count } = framesOf(size);
      const frames = chunk.subarray(0, (chunk.length / count) * IN_FLIGHT);
      let written = 0;
      const protocol: Protocol = serverProtocol((message) => {
        onMessage(message);
        protocol.send(message);
      });
      return (times) => {
        for (let n = 0; n < times; n++) {
          protocol.receive(frames, 0);
          const taken = protocol.output.take();
          written += taken.size;
          protocol.output.release(taken);
        }
        return written;
      };
    },
  };
}

function check(message: Message): void {
  if (messages.hasSubscribers) messages.publish({ message });
}

export const CHANNELS: Comparison = {
  name: "channels",
  title: "Echo in memory, 32 frames in a chunk; time for one",
  sizes: [SIZE],
  candidates: [
    echo("no channel", () => undefined),
    echo("a channel without subscribers", check),
    {
      name: "the check alone",
      batch: () => IN_FLIGHT,
      prepare: () => (times) => {
        let active = 0;
        for (let n = 0; n < times * IN_FLIGHT; n++) if (messages.hasSubscribers) active++;
        return active;
      },
    },
  ],
};
