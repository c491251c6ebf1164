// The measuring program: compiled and started by main.ts with the Node.js to measure.
import process from "node:process";
import { formatTable } from "../report/tables.ts";
import { CHANNELS } from "./channels.ts";
import { ENCODING, PARSING } from "./frames.ts";
import { compare, type Comparison, sunk } from "./harness.ts";
import { MASKING_COPIED, MASKING_IN_PLACE } from "./masking.ts";
import { DECODING_ASCII, DECODING_UTF8, ENCODING_ASCII, ENCODING_UTF8 } from "./text.ts";
import { CHECKING_ASCII, CHECKING_UTF8 } from "./utf8.ts";
import { VIEWS } from "./views.ts";

const COMPARISONS: readonly Comparison[] = [
  MASKING_IN_PLACE,
  MASKING_COPIED,
  CHECKING_ASCII,
  CHECKING_UTF8,
  VIEWS,
  DECODING_ASCII,
  DECODING_UTF8,
  ENCODING_ASCII,
  ENCODING_UTF8,
  PARSING,
  ENCODING,
  CHANNELS,
];

const [only = "", rounds = "7", ms = "5"] = process.argv.slice(2);
const chosen =
  only === "" ? COMPARISONS : COMPARISONS.filter(({ name }) => only.split(",").some((part) => name.includes(part)));
if (chosen.length === 0) {
  console.error(`--only: expected some of ${COMPARISONS.map(({ name }) => name).join(", ")}; got ${only}`);
  process.exit(1);
}
console.log(`Nanoseconds, median of ${rounds} rounds; Node ${process.version}\n`);
for (const comparison of chosen) {
  const timings = compare(comparison, { rounds: Number(rounds), ms: Number(ms) });
  const body = [...timings].map(([name, values]) => [name, ...values.map(nanoseconds)]);
  const head = ["", ...comparison.sizes.map(bytes)];
  console.log(`${comparison.title} (${comparison.name})\n\n${formatTable(head, body)}\n`);
}
process.exitCode = Number.isNaN(sunk()) ? 1 : 0;

function bytes(size: number): string {
  if (size < 1024) return `${size} B`;
  return size < 1_048_576 ? `${size / 1024} KiB` : `${size / 1_048_576} MiB`;
}

function nanoseconds(value: number): string {
  if (Number.isNaN(value)) return "";
  return value < 100 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
}
