import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { plot } from "./plot.ts";
import { soak } from "./run.ts";
import { evaluate, median, type Series } from "./evaluation.ts";

const MiB = 1024 * 1024;

function series(values: readonly number[], floor = MiB): Series {
  return { name: "server", unit: "MiB", scale: MiB, floor, values };
}

/** Returns `count` values computed from their index, from 0 to just below 1. */
function over(value: (time: number) => number, count = 200): number[] {
  return Array.from({ length: count }, (_, at) => value(at / count));
}

describe("classify", () => {
  const noise = (time: number): number => Math.sin(time * 1e4) * 3 * MiB;
  const cases: readonly (readonly [string, (time: number) => number, boolean])[] = [
    ["nothing", () => 0, true],
    ["always the same", () => 100 * MiB, true],
    ["noise", (time) => 100 * MiB + noise(time), true],
    ["a tenth in the part that is judged", (time) => 100 * MiB * (1 + 0.12 * time), true],
    ["a fifth", (time) => 100 * MiB * (1 + 0.3 * time), false],
    ["a fifth, in noise", (time) => 100 * MiB * (1 + 0.3 * time) + noise(time), false],
    ["warming up, then the same", (time) => 100 * MiB * Math.min(1, 0.3 + time * 4), true],
    ["a few peaks", (time) => (Math.floor(time * 200) % 50 === 7 ? 900 : 100) * MiB, true],
    ["getting less", (time) => 100 * MiB * (2 - time), true],
    ["doubling, but below the floor", (time) => 0.2 * MiB * (1 + time), true],
  ];
  for (const [name, value, flat] of cases) {
    test(`${name}: ${flat ? "flat" : "not flat"}`, () => assert.equal(evaluate(series(over(value))).flat, flat));
  }

  test("reports the growth", () => {
    const { growth, allowed } = evaluate(series(over((time) => 100 * MiB * (1 + time))));
    assert.ok(Math.abs(growth - 75 * MiB) < MiB, String(growth));
    assert.ok(allowed > 15 * MiB && allowed < 18 * MiB, String(allowed));
  });

  test("medians", () => {
    assert.deepEqual([median([]), median([3]), median([1, 9]), median([5, 1, 3])], [0, 3, 5, 3]);
  });
});

test("the plot has a line for each series, and the result", () => {
  const svg = plot("a run", 600, [
    { title: "RSS", series: [series(over(() => 50 * MiB)), series(over((time) => 50 * MiB * (1 + time)))] },
  ]);
  assert.equal(svg.match(/<polyline/g)?.length, 2);
  assert.match(svg, /: flat<[^]*: grows</);
  assert.match(svg, />10 min</);
});

test("a soak of some seconds loses nothing and leaves nothing", async () => {
  const least = { messages: 200, reconnects: 6 };
  const { problems } = await soak({ seconds: 2, least, connections: 60, every: 0.4 });
  // so short a run does not show growth
  assert.deepEqual(
    problems.filter((problem) => !problem.includes("grows")),
    [],
  );
});
