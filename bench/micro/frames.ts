import { DEFAULT_LIMITS, type Message, Protocol, ProtocolConfig } from "@tungstate/protocol";
// with Node's own functions, as every server has them
import { defaultRuntime } from "tungstate/internal";
import { createRequire } from "node:module";
import { type Comparison, someBytes } from "./harness.ts";

const SIZES = [8, 64, 256, 1024, 16_384, 65_536];
const CHUNK = 65_536; // bytes; frames are read as from a socket, many in one chunk
const KEY = [0x11, 0x22, 0x33, 0x44];

interface WsReceiver {
  on(event: "message", listener: (data: Buffer) => void): void;
  write(chunk: Buffer): boolean;
}

interface Ws {
  Receiver: new (options: { isServer: boolean; allowSynchronousEvents: boolean }) => WsReceiver;
  Sender: {
    frame(
      data: Buffer,
      options: { fin: boolean; opcode: number; mask: boolean; readOnly: boolean; rsv1: boolean },
    ): Buffer[];
  };
}

const ws = createRequire(import.meta.url)("ws") as Ws;

export function serverProtocol(onMessage: (message: Message) => void): Protocol {
  const options = {
    ...DEFAULT_LIMITS,
    role: "server",
    keys: undefined,
    acceptUnmaskedFrames: false,
    compression: false,
    heartbeat: undefined,
    closeTimeout: 5000,
  } as const;
  return new Protocol(new ProtocolConfig(defaultRuntime, options), {
    onMessage,
    onPing() {},
    onPong() {},
    onStateChange() {},
  });
}

/** Returns a chunk of complete masked frames. */
export function framesOf(size: number): { readonly chunk: Buffer; readonly count: number } {
  const length =
    size < 126
      ? [0x80 | size]
      : size < 65_536
        ? [0xfe, size >> 8, size & 255]
        : [0xff, 0, 0, 0, 0, 0, size >> 16, (size >> 8) & 255, size & 255];
  const payload = someBytes(size).map((byte, index) => byte ^ (KEY[index & 3] ?? 0));
  const frame = Buffer.from([0x82, ...length, ...KEY, ...payload]);
  const count = Math.max(1, Math.floor(CHUNK / frame.length));
  return { chunk: Buffer.concat(Array.from({ length: count }, () => frame)), count };
}

export const PARSING: Comparison = {
  name: "parse",
  title: "Masked frames to messages; time for one",
  sizes: SIZES,
  candidates: [
    {
      name: "@tungstate/protocol",
      batch: (size) => framesOf(size).count,
      prepare(size) {
        const { chunk } = framesOf(size);
        let seen = 0;
        const protocol = serverProtocol((message) => (seen += message.size));
        return (times) => {
          for (let n = 0; n < times; n++) protocol.receive(chunk, 0);
          return seen;
        };
      },
    },
    {
      name: "ws (its Receiver)",
      batch: (size) => framesOf(size).count,
      prepare(size) {
        const { chunk } = framesOf(size);
        let seen = 0;
        const receiver = new ws.Receiver({ isServer: true, allowSynchronousEvents: true });
        receiver.on("message", (data) => (seen += data.length));
        return (times) => {
          for (let n = 0; n < times; n++) receiver.write(Buffer.from(chunk)); // unmasks in place
          return seen;
        };
      },
    },
  ],
};

const BATCH = 16; // messages between two writes

export const ENCODING: Comparison = {
  name: "encode",
  title: `Messages to frames, ${BATCH} for each write; time for one`,
  sizes: SIZES,
  candidates: [
    {
      name: "@tungstate/protocol",
      batch: () => BATCH,
      prepare(size) {
        const payload = someBytes(size);
        const protocol = serverProtocol(() => {});
        return (times) => {
          let written = 0;
          for (let n = 0; n < times; n++) {
            for (let index = 0; index < BATCH; index++) protocol.send(payload);
            const taken = protocol.output.take();
            written += taken.size;
            protocol.output.release(taken);
          }
          return written;
        };
      },
    },
    {
      name: "ws (its Sender)",
      batch: () => BATCH,
      prepare(size) {
        const payload = Buffer.from(someBytes(size));
        const options = { fin: true, opcode: 2, mask: false, readOnly: true, rsv1: false };
        return (times) => {
          let written = 0;
          for (let n = 0; n < times; n++) {
            const pieces: Buffer[] = [];
            for (let index = 0; index < BATCH; index++) pieces.push(...ws.Sender.frame(payload, options));
            written += pieces.length;
          }
          return written;
        };
      },
    },
  ],
};
