// Context takeover compared, with JSON of 465 bytes and different messages: node --import tsx
// bench/micro-deflate/takeover.ts [round in ms, default 20]
// and the memory of a live zlib stream: node --import tsx bench/micro-deflate/takeover.ts memory
import { execFileSync } from "node:child_process";
import zlib from "node:zlib";
import { KeptZlib } from "./kept-zlib.ts";
import { payloads } from "./payloads.ts";
import { cpuPerCall, formatNumber, table } from "./timing.ts";

const { Z_SYNC_FLUSH } = zlib.constants;
const SIZE = 465; // bytes
const TAIL = 4; // bytes that end every message and are not sent
const MESSAGES = 2000;

const STREAMS: readonly { kind: "DeflateRaw" | "InflateRaw"; windowBits: number; memLevel: number }[] = [
  { kind: "DeflateRaw", windowBits: 9, memLevel: 1 },
  { kind: "DeflateRaw", windowBits: 10, memLevel: 1 },
  { kind: "DeflateRaw", windowBits: 12, memLevel: 5 },
  { kind: "DeflateRaw", windowBits: 12, memLevel: 8 },
  { kind: "DeflateRaw", windowBits: 15, memLevel: 1 },
  { kind: "DeflateRaw", windowBits: 15, memLevel: 8 },
  { kind: "InflateRaw", windowBits: 9, memLevel: 8 },
  { kind: "InflateRaw", windowBits: 12, memLevel: 8 },
  { kind: "InflateRaw", windowBits: 15, memLevel: 8 },
];

/** Returns the KB of resident memory of each of many streams that have processed a message. */
function memoryOf({ kind, windowBits, memLevel }: (typeof STREAMS)[number]): number {
  const count = 500;
  const [message] = payloads(SIZE, 1);
  const input = kind === "DeflateRaw" ? message : zlib.deflateRawSync(message, { finishFlush: Z_SYNC_FLUSH });
  const output = Buffer.alloc(1024);
  const streams: unknown[] = [];
  let before = 0;
  for (let made = -20; made < count; made++) {
    if (made === 0) before = process.memoryUsage().rss;
    const stream = new zlib[kind]({ windowBits, memLevel, chunkSize: 64 });
    new KeptZlib(stream, output).run(input);
    streams.push(stream);
  }
  return (process.memoryUsage().rss - before) / count / 1024;
}

function memory(): void {
  const rows = STREAMS.map((stream, index) => {
    // a process for each measurement, so that no freed memory is reused
    const run = [...process.execArgv, process.argv[1], "memory-of", String(index)];
    const kb = Number(execFileSync(process.execPath, run, { encoding: "utf8" }));
    const memLevel = stream.kind === "DeflateRaw" ? `, memLevel ${stream.memLevel}` : "";
    return [`${stream.kind}, windowBits ${stream.windowBits}${memLevel}`, formatNumber(kb)];
  });
  console.log(table(["live stream", "KB"], rows));
}

async function speed(roundMs: number): Promise<void> {
  const messages = payloads(SIZE, MESSAGES);
  const rows: string[][] = [];
  for (const [level, windowBits, memLevel] of [
    [2, 15, 8],
    [6, 15, 8],
    [2, 12, 8],
    [6, 12, 8],
    [2, 10, 1],
  ]) {
    const live = new KeptZlib(new zlib.DeflateRaw({ level, windowBits, memLevel }));
    let bytes = 0;
    for (const message of messages) bytes += live.run(message) - TAIL;
    const time = await cpuPerCall((index) => live.run(messages[index % MESSAGES]), roundMs);
    const name = `live deflater, level ${level}, windowBits ${windowBits}, memLevel ${memLevel}`;
    rows.push([name, formatNumber(time), String(Math.round(bytes / MESSAGES)), ""]);
  }
  for (const [level, windowBits] of [
    [2, 9],
    [2, 10],
    [2, 11],
    [2, 12],
    [6, 12],
    [2, 13],
    [2, 14],
    [2, 15],
  ]) {
    // what precedes the first measured message
    const window = Buffer.concat(messages.slice(0, 100)).subarray(-(2 ** windowBits));
    const later = messages.slice(100);
    const options = { windowBits, level, finishFlush: Z_SYNC_FLUSH, dictionary: window, chunkSize: 512 };
    let bytes = 0;
    for (const message of later) bytes += zlib.deflateRawSync(message, options).length - TAIL;
    const deflate = await cpuPerCall((index) => zlib.deflateRawSync(later[index % later.length], options), roundMs);
    const inflater = new KeptZlib(new zlib.InflateRaw());
    const header = Buffer.from([0, window.length, window.length >> 8, ~window.length, ~window.length >> 8]);
    const primed = later.map((message) => Buffer.concat([header, window, zlib.deflateRawSync(message, options)]));
    const inflate = await cpuPerCall((index) => {
      inflater.reset();
      return inflater.run(primed[index % primed.length]);
    }, roundMs);
    const name = `carried window, level ${level}, windowBits ${windowBits}`;
    rows.push([name, formatNumber(deflate), String(Math.round(bytes / later.length)), formatNumber(inflate)]);
  }
  console.log(`Node ${process.version}, zlib ${process.versions.zlib}; ${SIZE} bytes of JSON\n`);
  console.log(table(["way", "deflate, us", "bytes", "inflate, us"], rows));
}

const [what, argument] = process.argv.slice(2);
if (what === "memory") memory();
else if (what === "memory-of") console.log(memoryOf(STREAMS[Number(argument)]));
else await speed(Number(what ?? 20));
