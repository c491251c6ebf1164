// Random input and random calls: ws and the drop-in behave in the same way.
import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { deflateRawSync, constants } from "node:zlib";
import { load, type ImplementationName, type Options, type Socket, test } from "./support/implementations.ts";
import { event } from "./support/pairs.ts";
import { closePayload, FrameReader, KEY, masked, OPCODE } from "./support/wire.ts";

/** A random number generator with a seed, so that a failure can be repeated. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function oneOf<T>(random: (below: number) => number, values: readonly [T, ...T[]]): T {
  return values[random(values.length)] ?? values[0];
}

const REQUEST = {
  method: "GET",
  url: "/",
  headers: {
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": KEY,
    "sec-websocket-extensions": "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
  },
};

/** A server's socket on a stream within the process. */
function openOn(name: ImplementationName, options: Options): { socket: Socket; stream: Duplex; written: () => Buffer } {
  const written: Buffer[] = [];
  const stream = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      written.push(Buffer.from(chunk));
      done();
    },
  });
  const server = new (load(name).WebSocketServer)({ noServer: true, ...options });
  let opened: Socket | undefined;
  server.handleUpgrade(REQUEST, stream, Buffer.alloc(0), (socket) => (opened = socket));
  assert.ok(opened !== undefined);
  const bytes = (): Buffer => {
    const all = Buffer.concat(written);
    return all.subarray(all.indexOf("\r\n\r\n") + 4);
  };
  return { socket: opened, stream, written: bytes };
}

const settled = async (): Promise<void> => {
  for (let tick = 0; tick < 10; tick++) await new Promise((resolve) => setImmediate(resolve));
};

function record(socket: Socket): unknown[] {
  const events: unknown[] = [];
  for (const name of ["message", "ping", "pong", "close"]) {
    socket.on(name, (...args: unknown[]) =>
      events.push([name, ...args.map((arg) => (Buffer.isBuffer(arg) ? arg.toString("latin1") : arg))]),
    );
  }
  socket.on("error", (error: Error & { code?: string }) =>
    events.push(["error", error.name, error.code, error.code?.startsWith("WS_") === true ? error.message : ""]),
  );
  return events;
}

/** Frames as text, without what is a matter of the compressor. */
function framesOf(bytes: Buffer): unknown[] {
  let compressed = false; // the message began with RSV1
  return new FrameReader().push(bytes).map(({ fin, rsv1, opcode, masked: isMasked, payload }) => {
    if (opcode === OPCODE.text || opcode === OPCODE.binary) compressed = rsv1;
    const isHidden = compressed && opcode <= OPCODE.binary;
    return [fin, rsv1, opcode, isMasked, isHidden ? "" : payload.toString("latin1")];
  });
}

function randomInput(random: (below: number) => number): Buffer {
  const parts: Buffer[] = [];
  const frames = 1 + random(8);
  let open = false;
  for (let at = 0; at < frames; at++) {
    const kind = random(20);
    const text = "é".repeat(random(4)) + "x".repeat(oneOf(random, [0, 1, 5, 100, 125, 126, 300]));
    if (kind < 8) {
      const fin = random(4) > 0;
      parts.push(masked(open ? 0 : 1 + random(2), text, { fin }));
      open = !fin;
    } else if (kind < 11) parts.push(masked(9 + random(2), text.slice(0, 60)));
    else if (kind < 13 && !open) {
      const data = deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
      parts.push(masked(1 + random(2), data, { rsv: 4 }));
    } else if (kind < 15) {
      const code = oneOf(random, [1000, 1001, 1005, 1006, 1011, 1015, 2999, 3000, 4999, 5000, 0]);
      parts.push(masked(8, random(4) === 0 ? "" : closePayload(code, "why")));
    } else if (kind === 15) parts.push(masked(random(16), text, { fin: random(2) === 0, rsv: random(4) }));
    else if (kind === 16) parts.push(masked(1, Buffer.from([0xc3, random(256), 0xe2, random(256)])));
    else if (kind === 17) parts.push(Buffer.from([0x80 | random(16), 0x80 | random(256), random(256)]));
    else if (kind === 18) parts.push(masked(8, "x".repeat(random(3))));
    else parts.push(masked(2, text));
  }
  return Buffer.concat(parts);
}

function chunksOf(random: (below: number) => number, bytes: Buffer, compression: boolean): Buffer[] {
  const chunks: Buffer[] = [];
  // ws 8.23 throws a TypeError for some chunks that arrive while it decompresses
  const most = compression ? bytes.length : oneOf(random, [1, 3, 20, 1000, 100_000]);
  for (let at = 0; at < bytes.length;) {
    const size = compression ? most : 1 + random(most);
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

const OPTIONS: readonly [Options, ...Options[]] = [
  {},
  { perMessageDeflate: true },
  { maxPayload: 120 },
  { maxFragments: 2 },
  { autoPong: false },
  { skipUTF8Validation: true },
  { perMessageDeflate: true, maxPayload: 110 },
];

async function received(name: ImplementationName, chunks: readonly Buffer[], options: Options): Promise<Received> {
  const { socket, stream, written } = openOn(name, options);
  const events = record(socket);
  const closed = event(socket, "close"); // after all that was received: ws decompresses in other threads
  for (const chunk of chunks) stream.push(Buffer.from(chunk));
  await settled();
  stream.push(null);
  await closed;
  // with compression, ws may be done only after the end of the stream, and replies nothing then
  const frames = options["perMessageDeflate"] === true ? [] : framesOf(written());
  stream.destroy();
  return { events, frames };
}

interface Received {
  readonly events: unknown[];
  readonly frames: unknown[];
}

/** The drop-in refuses text at its first invalid byte, ws at the end of the message, if that comes. */
function isEarlyRefusal(ours: Received, theirs: Received): boolean {
  return JSON.stringify(ours).includes("WS_ERR_INVALID_UTF8") && !JSON.stringify(theirs).includes("WS_ERR_");
}

for (let block = 0; block < 10; block++) {
  test(`random bytes have the same events and replies (${block})`, async () => {
    for (let at = 0; at < 60; at++) {
      const seed = block * 1000 + at;
      const random = generator(seed);
      const options = oneOf(random, OPTIONS);
      const chunks = chunksOf(random, randomInput(random), options["perMessageDeflate"] === true);
      const given = chunks.map((chunk) => chunk.toString("hex")).join(" ");
      const ours = await received("@tungstate/ws", chunks, options);
      const theirs = await received("ws", chunks, options);
      if (isEarlyRefusal(ours, theirs)) continue;
      assert.deepEqual(ours, theirs, `seed ${seed}, ${JSON.stringify(options)}: ${given}`);
    }
  });
}

interface Context {
  readonly notes: unknown[][];
  /** Callbacks that were not called yet. */
  pending: number;
}

type Call = (socket: Socket, context: Context) => void;

function noted(id: number, context: Context): (error?: Error | null) => void {
  context.pending++;
  return (error) => {
    context.pending--;
    context.notes.push(["called", id, error === undefined || error === null ? undefined : error.message]);
  };
}

function randomCall(random: (below: number) => number): Call {
  const id = random(1000);
  const text = `${id}${"x".repeat(oneOf(random, [0, 10, 200, 5000, 70_000]))}`;
  const options = oneOf<Options>(random, [
    {},
    { binary: true },
    { binary: false },
    { compress: false },
    { fin: false },
    { mask: true, binary: false },
  ]);
  const data = oneOf<unknown>(random, [
    text,
    Buffer.from(text),
    new Uint8Array(Buffer.from(text)).buffer,
    id,
    "",
    [1, 2],
  ]);
  switch (random(12)) {
    case 0:
      return (socket, context) => socket.ping(text.slice(0, 20), undefined, noted(id, context));
    case 1:
      return (socket, context) => socket.pong(text.slice(0, 20), undefined, noted(id, context));
    case 2:
      return (socket, context) => socket.ping(noted(id, context));
    case 3:
      return random(6) === 0
        ? (socket) => socket.close(1001, "bye")
        : (socket, context) => socket.send(data, noted(id, context));
    default:
      return (socket, context) => socket.send(data, options, noted(id, context));
  }
}

async function called(name: ImplementationName, seed: number): Promise<unknown> {
  const random = generator(seed);
  const perMessageDeflate = random(4) === 0 ? { threshold: 100 } : false;
  const { socket, stream, written } = openOn(name, { perMessageDeflate });
  const events = record(socket);
  const context: Context = { notes: [], pending: 0 };
  for (let at = 0; at < 12; at++) {
    randomCall(random)(socket, context);
    if (random(3) === 0) await settled();
  }
  while (context.pending > 0) await settled();
  const closed = event(socket, "close");
  stream.push(masked(8, closePayload(1000)));
  await settled();
  stream.push(null);
  await closed;
  stream.destroy();
  const notes = context.notes.map((note) => JSON.stringify(note));
  // ws compresses in other threads, and calls back with errors meanwhile
  return { notes: perMessageDeflate === false ? notes : notes.toSorted(), events, frames: framesOf(written()) };
}

for (let block = 0; block < 5; block++) {
  test(`random calls have the same frames and callbacks (${block})`, async () => {
    for (let at = 0; at < 60; at++) {
      const seed = 7_000_000 + block * 1000 + at;
      assert.deepEqual(await called("@tungstate/ws", seed), await called("ws", seed), `seed ${seed}`);
    }
  });
}
