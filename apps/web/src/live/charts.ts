import { type Line, sum, worst } from "./series.ts";

/** A plot: title, number format, lines. */
export interface Chart {
  readonly title: string;
  readonly lines: readonly { readonly name: string; readonly value: Line }[];
  readonly write: (value: number) => string;
  /** Minimum upper end of the scale, so that tiny values look tiny. */
  readonly least: number;
  /** Possible distances between grid lines. */
  readonly steps: number[];
}

const TENS = [0.5, ...Array.from({ length: 12 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat()];
const TWOS = Array.from({ length: 50 }, (_, power) => 2 ** power);

/** Values of several nodes are summed where that makes sense; otherwise the worst value is used. */
export const CHARTS: readonly Chart[] = [
  {
    title: "Connections",
    lines: [{ name: "open", value: sum(({ connections }) => connections) }],
    write: count,
    least: 10,
    steps: TENS,
  },
  {
    title: "Messages per second",
    lines: [
      { name: "received", value: sum(({ received }) => received) },
      { name: "sent", value: sum(({ sent }) => sent) },
    ],
    write: count,
    least: 10,
    steps: TENS,
  },
  {
    title: "CPU, of one core",
    lines: [{ name: "used", value: worst(({ cpu }) => cpu * 100) }],
    write: (value) => `${count(value)} %`,
    least: 10,
    steps: TENS,
  },
  {
    title: "Event-loop delay",
    lines: [
      { name: "mean", value: worst(({ loopMean }) => loopMean) },
      { name: "99 % below", value: worst(({ loopP99 }) => loopP99) },
    ],
    write: (value) => `${count(value)} ms`,
    least: 5,
    steps: TENS,
  },
  {
    title: "Queued output",
    lines: [{ name: "queues", value: sum(({ queueBytes }) => queueBytes) }],
    write: bytes,
    least: 1024,
    steps: TWOS,
  },
  {
    title: "Memory",
    lines: [{ name: "resident", value: sum(({ memory }) => memory) }],
    write: bytes,
    least: 64 * 1024 * 1024,
    steps: TWOS,
  },
];

export function count(value: number): string {
  return value < 10 ? String(Math.round(value * 10) / 10) : Math.round(value).toLocaleString("en");
}

export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  const shown = value / 1024 ** power;
  return `${count(shown)} ${units[power]}`;
}

/** Formats seconds in the two largest units. */
export function upFor(seconds: number): string {
  const whole = Math.floor(seconds);
  const [days, hours, minutes] = [Math.floor(whole / 86_400), Math.floor(whole / 3_600) % 24, Math.floor(whole / 60) % 60]; // prettier-ignore
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}
