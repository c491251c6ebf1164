import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { withRatios } from "../report/readme.ts";

const PAGE = `
| | Tungstate | ws |
| --- | --: | --: |
| echo | 1 k | 2 k |

| | / ws | / Bun | / uWebSockets.js |
| --- | --: | --: | --: |
| echo | 2.00 / 2.10 | 7 | 1.10 / 1.20 |
| other | 3 | 7 | 4 |
`;

test("README.md gets the ratios of the rows that it has", () => {
  const readme = (echo: string): string =>
    `| echo | 1 / 1 | 1 / 1 |\n\n<!-- ratios: x -->\n\n|  | / ws | / uWebSockets.js |\n| --- | --: | --: |\n${echo}\n| gone | 5 | 6 |\n\n<!-- end of ratios -->\n`;
  assert.equal(withRatios(readme("| echo | 9 / 9 | 8 / 8 |"), PAGE), readme("| echo | 2.00 / 2.10 | 1.10 / 1.20 |"));
});

test("README.md has the ratios of docs/performance.md", () => {
  const read = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");
  assert.equal(withRatios(read("README.md"), read("docs/performance.md")), read("README.md"));
});
