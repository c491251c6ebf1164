// Servers that answer a bare `permessage-deflate`, or choose their own parameters, and then
// reference earlier messages.

import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { client } from "../../src/client/client.ts";
import type { CompressionOptions } from "../../src/deflate/settings.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { type ClientRoute, clientRoutes, speak } from "../support/client-routes.ts";
import { take } from "../support/connected.ts";
import { frame, TEXT, upgradeResponse } from "../support/raw.ts";
import { bytesOf, LivePeer } from "./support.ts";

const RSV1 = 0x40;
const BINARY = 2;
const CONTINUATION = 0;

const plain = (opcode: number, payload: Uint8Array, fin = true): Buffer =>
  frame(opcode, payload, { masked: false, fin });

/** A message in one or several frames, compressed by a server's live deflater. */
async function compressed(peer: LivePeer, opcode: number, message: Uint8Array, frames = 1): Promise<Buffer> {
  const payload = await peer.deflate(message);
  const size = Math.max(1, Math.ceil(payload.length / frames));
  const pieces: Buffer[] = [];
  for (let at = 0; at < payload.length; at += size) {
    const fin = at + size >= payload.length;
    pieces.push(plain(at === 0 ? opcode | RSV1 : CONTINUATION, payload.subarray(at, at + size), fin));
  }
  return Buffer.concat(pieces);
}

/** Returns `size` bytes that do not repeat within 32 KiB. */
function noise(size: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(size);
  let state = seed;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

/**
 * Opens a connection over a route; `frames` directly follow the response, whose extensions are
 * `answer`.
 */
async function open(
  t: TestContext,
  route: ClientRoute,
  answer: string,
  compression: boolean | CompressionOptions,
  frames: Uint8Array,
): Promise<WebSocketConnection> {
  const connection = await route.open(
    t,
    (_request, accept) =>
      Buffer.concat([Buffer.from(upgradeResponse(accept, `Sec-WebSocket-Extensions: ${answer}\r\n`)), frames]),
    { compression },
  );
  assert.equal(connection.extensions, answer);
  return connection;
}

const shown = (data: string | Uint8Array): string =>
  typeof data === "string" ? data : `bytes ${Buffer.from(data).toString("base64")}`;

for (const route of clientRoutes) {
  describe(`${route.name}: a server that keeps its context`, () => {
    // [the response, the window of the server's deflater]
    const answers: readonly (readonly [string, number])[] = [
      ["permessage-deflate", 15],
      ["permessage-deflate; client_no_context_takeover", 15],
      ["permessage-deflate; server_max_window_bits=15", 15],
      ["permessage-deflate; server_max_window_bits=9", 9],
      ["permessage-deflate; server_max_window_bits=12; client_max_window_bits=10", 12],
    ];
    for (const [answer, windowBits] of answers) {
      test(`sends messages that reference earlier ones: ${answer}`, async (t) => {
        const live = new LivePeer("deflate", windowBits);
        t.after(() => live.close());
        const text = JSON.stringify({ price: 12.5, symbol: "a".repeat(100), when: "today" });
        const messages: readonly (string | Uint8Array)[] = [
          text,
          text,
          noise(40_000),
          noise(40_000).subarray(20_000), // referenced 20,000 bytes back if the window permits
          text.repeat(2_000), // inflated asynchronously
          `${text}, again`,
          "",
          text,
        ];
        const frames: Buffer[] = [];
        for (const [at, message] of messages.entries()) {
          const [opcode, bytes] = typeof message === "string" ? [TEXT, bytesOf(message)] : [BINARY, message];
          frames.push(await compressed(live, opcode, bytes, 1 + (at % 3)));
          // uncompressed messages are not added to the window
          frames.push(plain(TEXT, bytesOf("between")));
        }
        for (const compression of [true, { contextTakeover: true }] as const) {
          const connection = await open(t, route, answer, compression, Buffer.concat(frames));
          const received = await take(connection, messages.length * 2);
          assert.deepEqual(
            received.map(shown),
            messages.flatMap((message) => [shown(message), "between"]),
          );
          connection.terminate();
        }
      });
    }
  });
}

/**
 * Bits of a DEFLATE block with fixed codes that contains one match of three bytes (RFC 1951
 * §3.2.6), without the sync tail.
 */
function matchOfThree(distance: number): Uint8Array {
  // code 29: distances from 24,577, with 13 extra bits
  const extra = distance - 24_577;
  let bits = "010"; // BFINAL 0, BTYPE 01, each from its lowest bit
  bits += "0000001"; // length code 257: 3 bytes
  bits += "11101"; // distance code 29
  for (let bit = 0; bit < 13; bit++) bits += (extra >> bit) & 1;
  bits += "0000000"; // end of block
  bits += "000"; // an empty stored block: 3 bits, and then 00 00 ff ff, which is the tail
  const bytes = new Uint8Array(Math.ceil(bits.length / 8));
  for (const [at, bit] of [...bits].entries()) bytes[at >> 3] = (bytes[at >> 3] ?? 0) | (Number(bit) << (at & 7));
  return bytes;
}

describe("the window of a server's messages", () => {
  const [route] = clientRoutes.filter(({ name }) => name === "client on a memory pipe");
  assert.ok(route !== undefined);

  test("has 32,768 bytes if the response does not limit it", async (t) => {
    const first = noise(33_000);
    for (const distance of [32_768, 32_767, 24_577]) {
      const live = new LivePeer("deflate", 15);
      t.after(() => live.close());
      const frames = [await compressed(live, BINARY, first), plain(BINARY | RSV1, matchOfThree(distance))];
      const connection = await open(t, route, "permessage-deflate", true, Buffer.concat(frames));
      const [, second] = await take(connection, 2);
      const start = first.length - distance;
      assert.equal(shown(second ?? ""), shown(first.subarray(start, start + 3)));
      connection.terminate();
    }
  });

  test("is empty before the first message: a reference before its start fails with 1007", async (t) => {
    const live = new LivePeer("deflate", 15);
    t.after(() => live.close());
    const frames = [await compressed(live, BINARY, noise(24_576)), plain(BINARY | RSV1, matchOfThree(24_577))];
    const connection = await open(t, route, "permessage-deflate", true, Buffer.concat(frames));
    assert.equal((await take(connection, 2)).length, 1);
    const { error } = await connection.closed;
    assert.equal(error?.code, "INVALID_DEFLATE");
  });

  test("is not kept if the response has server_no_context_takeover", async (t) => {
    const live = new LivePeer("deflate", 15);
    t.after(() => live.close());
    const answer = "permessage-deflate; server_no_context_takeover";
    const frames = [await compressed(live, BINARY, noise(33_000)), plain(BINARY | RSV1, matchOfThree(32_768))];
    const connection = await open(t, route, answer, true, Buffer.concat(frames));
    assert.equal((await take(connection, 2)).length, 1);
    const { error } = await connection.closed;
    assert.equal(error?.code, "INVALID_DEFLATE");
  });
});

describe("the client's messages to a server that keeps its context", () => {
  /** The payloads of a client's messages, one frame each. */
  async function payloads(
    t: TestContext,
    answer: string,
    compression: CompressionOptions,
    messages: readonly string[],
  ): Promise<Buffer[]> {
    const [near, far] = memoryPipe();
    t.after(() => near.destroy());
    let upgraded = false;
    let received: Buffer = Buffer.alloc(0);
    let wake = (): void => undefined;
    speak(far, (_request, accept) => {
      upgraded = true;
      return upgradeResponse(accept, `Sec-WebSocket-Extensions: ${answer}\r\n`);
    });
    far.on("data", (chunk: Buffer) => {
      if (!upgraded || chunk.includes("HTTP/1.1")) return;
      received = Buffer.concat([received, chunk]);
      wake();
    });
    const connection = await client("ws://server.example/", near, { compression });
    for (const message of messages) await connection.send(message);
    for (;;) {
      const frames = maskedFrames(received);
      if (frames.length === messages.length) return frames;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  /** The unmasked payloads of the complete frames in these bytes; all are compressed messages. */
  function maskedFrames(bytes: Buffer): Buffer[] {
    const found: Buffer[] = [];
    for (let at = 0; at + 2 <= bytes.length;) {
      const short = bytes.readUInt8(at + 1) & 0x7f;
      const header = short === 126 ? 8 : 6;
      if (at + header > bytes.length) break;
      const size = short === 126 ? bytes.readUInt16BE(at + 2) : short;
      if (at + header + size > bytes.length) break;
      assert.equal(bytes.readUInt8(at), 0x80 | RSV1 | TEXT);
      const mask = bytes.subarray(at + header - 4, at + header);
      found.push(
        Buffer.from(
          bytes.subarray(at + header, at + header + size).map((byte, index) => byte ^ (mask[index & 3] ?? 0)),
        ),
      );
      at += header + size;
    }
    return found;
  }

  const messages = [1, 2, 3, 4].map((number) => `${"a message like the one before, ".repeat(30)}${number}`);

  test("start with an empty window each, unless contextTakeover is set", async (t) => {
    for (const payload of await payloads(t, "permessage-deflate", { threshold: 0 }, messages)) {
      const fresh = new LivePeer("inflate", 15);
      assert.match(Buffer.from(await fresh.inflate(payload)).toString(), /^a message like .*\d$/);
      fresh.close();
    }
  });

  for (const [answer, windowBits] of [
    ["permessage-deflate", 12],
    ["permessage-deflate; client_max_window_bits=9", 9],
    ["permessage-deflate; client_max_window_bits=15", 12],
  ] as const) {
    test(`reference earlier ones with contextTakeover, within the smaller window: ${answer}`, async (t) => {
      const sent = await payloads(t, answer, { threshold: 0, contextTakeover: true }, messages);
      const live = new LivePeer("inflate", windowBits);
      t.after(() => live.close());
      for (const [at, payload] of sent.entries()) {
        assert.equal(Buffer.from(await live.inflate(payload)).toString(), messages[at]);
      }
      assert.ok((sent[3]?.length ?? 0) < (sent[0]?.length ?? 0), String(sent.map(({ length }) => length)));
    });
  }

  test("obey client_no_context_takeover of the response", async (t) => {
    const answer = "permessage-deflate; client_no_context_takeover";
    for (const payload of await payloads(t, answer, { threshold: 0, contextTakeover: true }, messages)) {
      const fresh = new LivePeer("inflate", 15);
      await fresh.inflate(payload);
      fresh.close();
    }
  });
});
