import { accept, type WebSocketConnection } from "tungstate";
import { memoryPipe } from "tungstate/testing";
import zlib from "node:zlib";
import { encode, frames as generateFrames } from "../generate/frames.ts";
import { hashOf, Random } from "../random.ts";
import { check, type Target } from "../target.ts";

const LIMIT = 20_000; // bytes of a message
const FINAL_BLOCK = Buffer.from([0x03, 0x00]); // empty
const MAX_STREAMS = 256; // a message with more final blocks than this is rejected
const TRAILER = Buffer.from([0, 0, 0xff, 0xff]);
const REQUEST =
  "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/** Deflated with any settings of zlib, and sometimes corrupted. */
function deflated(payload: Uint8Array, random: Random): Uint8Array {
  const options: zlib.ZlibOptions = {
    level: random.integer(10),
    windowBits: 9 + random.integer(7),
    memLevel: 1 + random.integer(9),
    strategy: random.integer(5),
    finishFlush: random.pick([zlib.constants.Z_SYNC_FLUSH, zlib.constants.Z_FULL_FLUSH, zlib.constants.Z_FINISH]),
  };
  const whole = new Uint8Array(zlib.deflateRawSync(payload, options));
  const bytes = random.chance(0.8) && Buffer.from(whole.subarray(-4)).equals(TRAILER) ? whole.subarray(0, -4) : whole;
  if (random.chance(0.15) && bytes.length > 0) {
    const at = random.integer(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(8));
  }
  return random.chance(0.05) ? bytes.subarray(0, random.integer(bytes.length + 1)) : bytes;
}

/** The first byte selects whether the rest are frames or the compressed payload of a message. */
function generate(random: Random): Uint8Array {
  if (random.chance(0.3)) {
    return Buffer.concat([
      Uint8Array.of(1),
      generateFrames(random, { masked: true, compressed: true, most: 2000, deflate: deflated }),
    ]);
  }
  const most = random.pick([20, 300, 3000, LIMIT + 100]);
  const size = random.integer(most);
  const payload = random.chance(0.3)
    ? random.bytes(Math.min(size, 500))
    : Buffer.alloc(size, Buffer.from(random.bytes(1 + random.integer(40))));
  return Buffer.concat([Uint8Array.of(0), deflated(payload, random)]);
}

async function opened(): Promise<{
  readonly connection: WebSocketConnection;
  readonly send: (bytes: Uint8Array) => void;
}> {
  const [near, far] = memoryPipe();
  near.on("error", () => undefined).resume();
  near.write(REQUEST);
  const connection = await accept(far, { compression: true, maxMessageSize: LIMIT, heartbeat: false });
  return {
    connection,
    send: (bytes) => {
      near.write(bytes);
      near.end();
    },
  };
}

async function receivedOf(
  stream: Uint8Array,
): Promise<{ readonly payloads: Buffer[]; readonly code: string | undefined }> {
  const { connection, send } = await opened();
  const payloads: Buffer[] = [];
  connection.on("message", ({ bytes }) => void payloads.push(Buffer.from(bytes)));
  send(stream);
  const { error } = await connection.closed;
  check(
    error === undefined || error.fault === "peer" || error.code === "CONNECTION_LOST",
    () => `${error?.code} is not a fault of the peer`,
  );
  check(
    payloads.every(({ length }) => length <= LIMIT),
    "a message above the limit was delivered",
  );
  return { payloads, code: error?.code };
}

/**
 * Returns what zlib itself makes of a compressed payload after appending the four bytes of RFC 7692
 * §7.2.2. It stops at a final block and restarts after it, as in §7.2.3.4. An appended final block
 * shows whether the previous one was complete. Undefined: the payload does not inflate.
 */
function reference(payload: Uint8Array): { readonly bytes: Buffer; readonly streams: number } | undefined {
  const input = Buffer.concat([payload, TRAILER, FINAL_BLOCK]);
  const parts: Buffer[] = [];
  let at = 0;
  do {
    try {
      const made: unknown = zlib.inflateRawSync(input.subarray(at), { maxOutputLength: 1 << 24, info: true });
      const { buffer, engine } = made as {
        readonly buffer: Buffer;
        readonly engine: { readonly bytesWritten: number };
      };
      parts.push(buffer);
      at += engine.bytesWritten;
    } catch {
      return undefined;
    }
  } while (at < input.length && at !== payload.length);
  return { bytes: Buffer.concat(parts), streams: parts.length };
}

async function run(input: Uint8Array): Promise<void> {
  const body = input.subarray(1);
  if ((input[0] ?? 0) % 2 === 1) {
    await receivedOf(body);
    return;
  }
  const random = new Random(hashOf(input));
  const key = random.bytes(4);
  const frame = (payload: Uint8Array, opcode: number, rsv: number, fin: boolean): Uint8Array =>
    encode({ fin, rsv, opcode, masked: true, payload, bits: undefined, declared: undefined }, key);
  const whole = await receivedOf(frame(body, 2, 0x40, true));
  const cut = random.integer(body.length + 1);
  const halves = await receivedOf(
    Buffer.concat([frame(body.subarray(0, cut), 2, 0x40, false), frame(body.subarray(cut), 0, 0, true)]),
  );
  const show = ({ payloads, code }: typeof whole): string =>
    `${code} ${payloads.map((each) => each.toString("hex")).join()}`;
  check(show(whole) === show(halves), () => `in two fragments (${cut}) ${show(halves)}, whole ${show(whole)}`);
  const expected = reference(body);
  const [payload] = whole.payloads;
  if (payload !== undefined) {
    check(
      expected?.bytes.equals(payload) === true,
      () => `zlib makes ${expected?.bytes.toString("hex")} of it, and not ${payload.toString("hex")}`,
    );
  } else if (whole.code === "MESSAGE_TOO_BIG") {
    // even for a corrupted one, output before the corruption may have been too long
    check(
      body.length > LIMIT || expected === undefined || expected.bytes.length > LIMIT,
      "a message within the limit was rejected",
    );
  } else {
    check(whole.code === "INVALID_DEFLATE", () => `${whole.code} for compressed data`);
    check(expected === undefined || expected.streams > MAX_STREAMS, "a message that zlib inflates was rejected");
  }
}

export const deflate: Target = {
  name: "deflate",
  about:
    "compressed messages on a connection: equal in one frame and in two, limits of the inflated size, the same bytes as zlib",
  inputs: 60_000,
  generate,
  run,
};
