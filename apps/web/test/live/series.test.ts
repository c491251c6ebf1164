import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bytes, count, upFor } from "../../src/live/charts.ts";
import { type NodeStats, parseNodeStats } from "../../src/live/node-stats.ts";
import { type Line, Series, sum, values, WINDOW_S, worst } from "../../src/live/series.ts";

const START = 1_800_000_000_000;
const stats = (node: string, second: number, values: Partial<NodeStats> = {}): NodeStats => ({
  ...{
    node,
    name: node,
    at: START + second * 1_000,
    uptime: second,
    connections: 1,
    channels: 0,
    received: 0,
    sent: 0,
  },
  ...{ cpu: 0.25, loopMean: 0, loopP99: 0, queueBytes: 0, memory: 0, ...values },
});
const points = (series: Series, line: Line): (number | null)[] => values(series.seconds(), line);
const connections = sum(({ connections }) => connections);

test("nodes are summed or the worst counts; a node without statistics for three seconds is removed", () => {
  const series = new Series();
  for (let second = 0; second <= 10; second++) series.add(stats("a", second, { connections: 10 }));
  for (let second = 4; second <= 6; second++) series.add(stats("b", second + 0.4, { connections: 5, cpu: 0.9 }));
  const seconds = series.seconds();
  assert.equal(seconds.length, WINDOW_S + 1);
  assert.equal(seconds.at(-1)?.second, START / 1_000 + 10);
  assert.deepEqual(points(series, connections).slice(-12), [null, 10, 10, 10, 10, 10, 15, 15, 15, 15, 15, 10]);
  const cpu = worst(({ cpu }) => cpu);
  assert.deepEqual(points(series, cpu).slice(-6), [0.9, 0.9, 0.9, 0.9, 0.9, 0.25]);
  assert.deepEqual(
    series.current().map(({ node }) => node),
    ["a"],
  );
});

test("statistics that arrive twice or late are sorted in; two minutes are kept", () => {
  const series = new Series();
  for (const second of [3, 1, 2, 3, 1]) series.add(stats("a", second, { connections: second }));
  assert.deepEqual(points(series, connections).slice(-3), [1, 2, 3]);
  series.add(stats("a", 1_000, { connections: 7 }));
  assert.deepEqual(
    points(series, connections).filter((value) => value !== null),
    [7],
  );
  assert.equal(series.current()[0]?.uptime, 1_000);
});

test("no points without statistics, and at most 200 nodes", () => {
  const series = new Series();
  assert.ok(points(series, connections).every((value) => value === null));
  for (let node = 0; node < 1_000; node++) series.add(stats(`node ${node}`, 0));
  assert.equal(series.current().length, 200);
});

test("readFigures accepts statistics and rejects other data", () => {
  const data = {
    ...{ node: { id: "id", name: "name" }, at: 1, uptime: 2, connections: 3, channels: 4, received: 5, sent: 6 },
    ...{ cpu: 7, loopDelay: { mean: 8, p99: 9, max: 10 }, queueBytes: 11, memory: 12 },
  };
  const { node, name, loopMean, loopP99, memory } = parseNodeStats(data) ?? stats("none", 0);
  assert.deepEqual([node, name, loopMean, loopP99, memory], ["id", "name", 8, 9, 12]);
  for (const key of Object.keys(data)) {
    for (const wrong of [undefined, null, "1", NaN, {}])
      assert.equal(parseNodeStats({ ...data, [key]: wrong }), undefined);
  }
  fc.assert(fc.property(fc.jsonValue(), (value) => parseNodeStats(value) === undefined));
});

test("numbers are formatted for people", () => {
  assert.deepEqual([0, 0.04, 2.96, 3, 12.4, 12_345].map(count), ["0", "0", "3", "3", "12", "12,345"]);
  assert.deepEqual([0, 0.5, 1, 1023, 1024, 1536, 10 * 1024, 3 * 1024 ** 3, 5 * 1024 ** 5].map(bytes), [
    ...["0 B", "0.5 B", "1 B", "1,023 B", "1 KiB", "1.5 KiB", "10 KiB", "3 GiB", "5,120 TiB"],
  ]);
  assert.deepEqual([0, 59.9, 60, 3_599, 3_600, 86_400 * 2 + 7_200].map(upFor), [
    ...["0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "2 d 2 h"],
  ]);
});
