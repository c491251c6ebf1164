import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, test } from "node:test";
import { newAllocator } from "../../src/native/allocator.ts";
import { isNode } from "../../src/native/platform.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

const ignore = (): void => undefined;

describe("the allocator", { skip: !isNode && "memory of V8 with glibc, as Node.js uses it" }, () => {
  test("returns arrays at the start of a buffer of their own", () => {
    const allocate = newAllocator(ignore, ignore);
    for (const size of [1, 100, 5000, 16 * KIB, 200 * KIB]) {
      const bytes = allocate(size);
      assert.equal(bytes.length, size);
      assert.equal(bytes.byteOffset, 0);
      assert.equal(bytes.buffer.byteLength, size);
    }
  });

  test("has freed memory kept once, when 8 MiB of large arrays were allocated", () => {
    let kept = 0;
    const allocate = newAllocator(() => kept++, ignore);
    for (let i = 0; i < 10_000; i++) allocate(16 * KIB - 1);
    for (let i = 0; i < 511; i++) allocate(16 * KIB);
    assert.equal(kept, 0);
    allocate(16 * KIB);
    assert.equal(kept, 1);
    for (let i = 0; i < 1024; i++) allocate(16 * KIB);
    assert.equal(kept, 1);
  });

  test("has the young generation collected each time that 8 MiB of large arrays were allocated", () => {
    let collected = 0;
    const allocate = newAllocator(ignore, () => collected++);
    for (let i = 0; i < 10_000; i++) allocate(16 * KIB - 1);
    for (const [count, size, expected] of [
      [511, 16 * KIB, 0],
      [1, 16 * KIB, 1],
      [7, MIB, 1],
      [1, MIB, 2],
      [1, 16 * MIB, 3],
      [127, 64 * KIB, 3],
      [1, 64 * KIB, 4],
    ] as const) {
      for (let i = 0; i < count; i++) allocate(size);
      assert.equal(collected, expected);
    }
  });

  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  const isGlibc = process.platform === "linux" && header.glibcVersionRuntime !== undefined;

  test("lets dropped arrays be allocated again without page faults", { skip: !isGlibc }, () => {
    const file = new URL("../../src/native/allocator.ts", import.meta.url).href;
    const script = `
      const { newAllocator } = await import(${JSON.stringify(file)});
      const allocate = newAllocator(process.argv[1] === "plain" ? () => undefined : undefined);
      const rounds = async (count) => {
        for (let i = 0; i < count; i++) {
          for (let j = 0; j < 16; j++) allocate(${MIB}).fill(1);
          await new Promise(setImmediate);
        }
      };
      await rounds(30);
      const before = process.resourceUsage().minorPageFault;
      await rounds(30);
      process.stdout.write(String(process.resourceUsage().minorPageFault - before));
    `;
    const faults = (how: string): number => {
      const { MALLOC_MMAP_THRESHOLD_: _, MALLOC_TRIM_THRESHOLD_: __, ...env } = process.env;
      const loader = new URL("../../../../scripts/testing/typescript.mjs", import.meta.url).href;
      const args = ["--import", loader, "--input-type=module", "-e", script, how];
      return Number(execFileSync(process.execPath, args, { encoding: "utf8", env }));
    };
    const pages = (30 * 16 * MIB) / (4 * KIB);
    const [plain, kept] = [faults("plain"), faults("kept")];
    // without it glibc may keep the memory, too: it depends on what V8 has freed before
    assert.ok(kept < pages / 4, `${kept} faults for ${pages} pages`);
    assert.ok(kept < plain + pages / 20, `${kept} faults, ${plain} without it`);
  });
});
