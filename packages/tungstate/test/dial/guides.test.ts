import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { blocksOf, GuideFolder } from "./support/guides.ts";

for (const guide of ["interfaces.md", "proxies.md", "tls.md"]) {
  describe(`docs/guides/${guide}`, () => {
    const folder = new GuideFolder();
    after(() => folder.remove());
    const blocks = blocksOf(guide);
    blocks.forEach((block, index) => {
      if (block.language !== "js" && block.language !== "sh") return;
      const next = blocks[index + 1];
      test(`the program in line ${block.line}`, async () => {
        const printed = await folder.run(block);
        if (block.language === "sh") return;
        assert.ok(next?.language === "text", "a program is followed by what it prints");
        assert.equal(printed, next.code);
      });
    });
  });
}
