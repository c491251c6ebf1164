// Compresses and decompresses JSON of several sizes with every engine available for Node, each
// message with an empty window: node --import tsx bench/micro-deflate/engines.ts [round in ms,
// default 20]
import * as foras from "@hazae41/foras";
import fastZlib from "fast-zlib";
import * as fflate from "fflate";
import * as minizlib from "minizlib";
import * as pako from "pako";
import zlib from "node:zlib";
import { KeptZlib } from "./kept-zlib.ts";
import { payloads } from "./payloads.ts";
import { cpuPerCall, formatNumber, table } from "./timing.ts";

const SIZES = [64, 465, 4096, 65_536, 1_048_576];
const { Z_SYNC_FLUSH, Z_FULL_FLUSH } = zlib.constants;
const roundMs = Number(process.argv[2] ?? 20);

interface Engine {
  readonly name: string;
  readonly deflate?: (message: Buffer) => { readonly length: number } | Promise<{ readonly length: number }>;
  readonly inflate?: (payload: Buffer) => unknown;
}

function kept(options: zlib.ZlibOptions): (message: Buffer) => { readonly length: number } {
  const stream = new KeptZlib(new zlib.DeflateRaw(options));
  return (message) => {
    stream.reset();
    return { length: stream.run(message) };
  };
}

/** Streams of minizlib pass their output to a listener, synchronously. */
function minizlibDeflate(): (message: Buffer) => { readonly length: number } {
  const stream = new minizlib.DeflateRaw({});
  let length = 0;
  stream.on("data", (piece: Buffer) => (length += piece.length));
  return (message) => {
    length = 0;
    stream.write(message);
    stream.flush(Z_FULL_FLUSH);
    return { length };
  };
}

function minizlibInflate(): (payload: Buffer) => void {
  const stream = new minizlib.InflateRaw({});
  stream.on("data", () => {});
  return (payload) => {
    stream.write(payload);
    stream.flush(Z_SYNC_FLUSH);
  };
}

function promised(
  run: (input: Buffer, options: zlib.ZlibOptions, done: (error: Error | null, result: Buffer) => void) => void,
): (input: Buffer) => Promise<Buffer> {
  return (input) =>
    new Promise((resolve, reject) => {
      run(input, { finishFlush: Z_SYNC_FLUSH }, (error, result) => (error === null ? resolve(result) : reject(error)));
    });
}

await foras.initBundledOnce();
const keptInflate = new KeptZlib(new zlib.InflateRaw());
const fastDeflate = new fastZlib.DeflateRaw({});
const fastInflate = new fastZlib.InflateRaw({});

const tuned: Engine[] = [1, 2, 3, 4, 5, 9].map((level) => ({
  name: `pooled zlib, level ${level}`,
  deflate: kept({ level }),
}));
for (const [windowBits, memLevel] of [
  [15, 9],
  [15, 5],
  [15, 1],
  [12, 5],
  [10, 1],
]) {
  const name = `pooled zlib, level 2, windowBits ${windowBits}, memLevel ${memLevel}`;
  tuned.push({ name, deflate: kept({ level: 2, windowBits, memLevel }) });
}
tuned.push({
  name: "pooled zlib, level 2, fixed Huffman codes",
  deflate: kept({ level: 2, strategy: zlib.constants.Z_FIXED }),
});

const engines: readonly Engine[] = [
  {
    name: "node:zlib, *Sync",
    deflate: (message) => zlib.deflateRawSync(message, { finishFlush: Z_SYNC_FLUSH }),
    inflate: (payload) => zlib.inflateRawSync(payload, { finishFlush: Z_SYNC_FLUSH }),
  },
  { name: "node:zlib, asynchronous", deflate: promised(zlib.deflateRaw), inflate: promised(zlib.inflateRaw) },
  {
    name: "pooled zlib",
    deflate: kept({}),
    inflate: (payload) => {
      keptInflate.reset();
      return keptInflate.run(payload);
    },
  },
  { name: "minizlib 3, kept", deflate: minizlibDeflate(), inflate: minizlibInflate() },
  {
    name: "fast-zlib 2, kept",
    deflate: (message) => fastDeflate.process(message, Z_FULL_FLUSH),
    inflate: (payload) => fastInflate.process(payload, Z_SYNC_FLUSH),
  },
  { name: "pako 3", deflate: (message) => pako.deflateRaw(message), inflate: (payload) => pako.inflateRaw(payload) },
  {
    name: "fflate 0.8",
    deflate: (message) => fflate.deflateSync(message),
    inflate: (payload) => fflate.inflateSync(payload),
  },
  {
    name: "@hazae41/foras 2 (WebAssembly)",
    deflate: (message) => foras.deflate(new foras.Memory(message)).bytes,
    inflate: (payload) => foras.inflate(new foras.Memory(payload)).bytes,
  },
  ...tuned,
];

console.log(
  `Node ${process.version}, zlib ${process.versions.zlib}; microseconds of CPU per message, size of the output\n`,
);
for (const size of SIZES) {
  const messages = payloads(size);
  // pako, fflate and foras do not support data without an end marker
  const ended = messages.map((message) => zlib.deflateRawSync(message));
  const rows: string[][] = [];
  for (const { name, deflate, inflate } of engines) {
    const cells = [name, "", "", ""];
    if (deflate !== undefined) {
      let bytes = 0;
      for (const message of messages) bytes += (await deflate(message)).length;
      cells[1] = formatNumber(await cpuPerCall((index) => deflate(messages[index % messages.length]), roundMs));
      cells[2] = String(Math.round(bytes / messages.length));
    }
    if (inflate !== undefined) {
      const flushed = messages.map((message) => zlib.deflateRawSync(message, { finishFlush: Z_SYNC_FLUSH }));
      const payload = /pako|fflate|foras/.test(name) ? ended : flushed;
      cells[3] = formatNumber(await cpuPerCall((index) => inflate(payload[index % payload.length]), roundMs));
    }
    rows.push(cells);
  }
  console.log(
    `${size.toLocaleString("en")} bytes\n\n${table(["engine", "deflate, us", "bytes", "inflate, us"], rows)}\n`,
  );
}
