import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { keptOf } from "./corpus.ts";
import { EXTENSION_DIFFERENCES, FRAME_DIFFERENCES, REFUSED_HERE, REFUSED_THERE } from "./differences.ts";
import { mutate } from "./mutate.ts";
import { Random } from "./random.ts";
import { Inputs, runInputs, shrink, tryInput } from "./run.ts";
import type { Target } from "./target.ts";
import { TARGETS, targetOf } from "./targets/all.ts";
import { compareExtensions } from "./targets/extensions.ts";
import { compareFrames } from "./targets/frames-vs-ws.ts";
import { compareRequests } from "./targets/handshakes-vs-ws.ts";

const SEED = 1;
/** The fraction of the inputs of a long run. */
const SHARE = 1 / 200;

for (const target of TARGETS) {
  describe(`${target.name}: ${target.about}`, () => {
    test("all kept inputs", async () => {
      const kept = keptOf(target.name);
      assert.ok(kept.length > 0);
      for (const { name, input } of kept) assert.equal(await tryInput(target, input), undefined, name);
    });

    test("some inputs of seed 1", async () => {
      const finding = await runInputs(target, SEED, { to: target.inputs * SHARE });
      assert.equal(finding, undefined, `input ${finding?.index}: ${finding?.message}`);
    });

    test("an input is determined by target, seed and number", () => {
      const [one, two, other] = [new Inputs(target, 3), new Inputs(target, 3), new Inputs(target, 4)];
      const inputs = Array.from({ length: 20 }, (_, index) => one.at(index));
      assert.deepEqual(
        inputs.toReversed(),
        [...inputs.keys()].toReversed().map((index) => two.at(index)),
      );
      assert.notDeepEqual(
        inputs,
        inputs.map((_, index) => other.at(index)),
      );
    });
  });
}

describe("each listed difference from ws exists", () => {
  test("frames", () => {
    const shown = new Set(keptOf("frames-vs-ws").map(({ input }) => compareFrames(input)));
    for (const difference of FRAME_DIFFERENCES) assert.ok(shown.has(difference), difference.name);
  });

  test("requests", async () => {
    const shown = new Set<string | undefined>();
    for (const { input } of keptOf("requests-vs-ws")) shown.add(await compareRequests(input));
    for (const name of [...Object.keys(REFUSED_HERE), ...REFUSED_THERE.map((each) => each.name)]) {
      assert.ok(shown.has(name), name);
    }
  });

  test("extensions", () => {
    const shown = new Set(
      keptOf("extensions").map(({ input }) => compareExtensions(Buffer.from(input).toString("latin1"))),
    );
    for (const difference of EXTENSION_DIFFERENCES) assert.ok(shown.has(difference), difference.name);
  });

  test("and names the specification and the reason", () => {
    const rows = [...FRAME_DIFFERENCES, ...REFUSED_THERE, ...EXTENSION_DIFFERENCES, ...Object.values(REFUSED_HERE)];
    for (const { source, why } of rows) {
      assert.match(source, /^RFC \d+ §/);
      assert.ok(why.length > 20);
    }
  });
});

describe("the fuzzer itself", () => {
  /** Fails for two adjacent bytes. */
  const picky: Target = {
    name: "picky",
    about: "",
    inputs: 1000,
    generate: (random) => random.bytes(100),
    run: (input) => {
      if (Buffer.from(input).includes(Buffer.from([1, 2]))) throw new Error("1, 2");
    },
  };

  test("finds a fault, and minimises its input", async () => {
    const finding = await runInputs(picky, SEED, { to: 20_000 });
    assert.ok(finding !== undefined);
    assert.match(finding.message, /1, 2/);
    assert.deepEqual(await shrink(picky, finding.input), Uint8Array.of(1, 2));
    assert.deepEqual(new Inputs(picky, SEED).at(finding.index ?? -1), finding.input);
  });

  test("the shares of several workers are all inputs, each once", async () => {
    const seen: string[] = [];
    const watched: Target = { ...picky, run: (input) => void seen.push(Buffer.from(input).toString("hex")) };
    for (const from of [0, 1, 2]) await runInputs(watched, SEED, { from, step: 3, to: 100 });
    const shares = seen.splice(0).toSorted();
    await runInputs(watched, SEED, { to: 100 });
    assert.deepEqual(shares, seen.toSorted());
  });

  test("mutates in every way, up to 64 KiB", () => {
    const random = new Random(SEED);
    const input = Uint8Array.from({ length: 20 }, (_, at) => at);
    const lengths = new Set<number>();
    for (let count = 0; count < 500; count++) lengths.add(mutate(input, random, input).length);
    assert.ok(Math.min(...lengths) === 0 && Math.max(...lengths) > 40, [...lengths].join());
    assert.equal(mutate(new Uint8Array(100_000), random, input).length <= 64 * 1024, true);
  });

  test("knows its targets", () => {
    assert.throws(() => targetOf("nothing"), /unknown target nothing, expected one of frames,/);
    assert.equal(new Set(TARGETS.map(({ name }) => name)).size, TARGETS.length);
  });
});
