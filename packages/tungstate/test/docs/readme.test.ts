import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { describePage, readPage, sectionOf, tableRows } from "./support/pages.ts";

// 8000 is the port of `npm start`; the programs of the page use the others
const serve = [["serve", "--port", "8000"]];
describePage("README.md", { ports: [8000, 8080], servers: serve });
describePage("docs/newcomer.md", { ports: [8080, 8081] });
describePage("docs/first-steps.md", { ports: [8000, 8081, 8082, 8083, 8443], servers: serve });

describePage("packages/tungstate/README.md", { ports: [8080] });
describePage("packages/protocol/README.md");

describe("README.md", () => {
  test("has at most 200 lines", () => {
    assert.ok(readPage("README.md").trimEnd().split("\n").length <= 200);
  });

  test("has the count of the conformance table", () => {
    const [row = {}] = tableRows(sectionOf("docs/comparison.md", "## Conformance"));
    const { OK, cases, informational } = row;
    const text = readPage("README.md").replace(/\s+/g, " ");
    assert.ok(text.includes(`[${OK} of ${cases} cases](docs/comparison.md#conformance)`));
    assert.ok(text.includes(`are OK, and ${informational} are informational`));
  });
});

const TITLES = { tungstate: "Tungstate", ws: "ws 8.23" };
const GROUPS = { "1 to 10": /^([1-9]|10)\./, "12 and 13": /^1[23]\./ };

describe("docs/comparison.md", () => {
  test("has the results of the golden files", () => {
    const expected = Object.entries(GROUPS).flatMap(([groups, ids]) =>
      Object.entries(TITLES).flatMap(([target, title]) =>
        ["server", "client"].flatMap((role) => {
          const golden = JSON.parse(readPage(`conformance/golden/${target}-${role}.json`)) as Record<string, string>;
          const verdicts = Object.keys(golden)
            .filter((id) => ids.test(id))
            .map((id) => golden[id]?.split(",")[0]);
          if (verdicts.length === 0) return [];
          const count = (verdict: string): string => String(verdicts.filter((each) => each === verdict).length);
          return [
            {
              target: title,
              role,
              groups,
              cases: String(verdicts.length),
              OK: count("OK"),
              informational: count("INFORMATIONAL"),
              "non-strict": count("NON-STRICT"),
              failed: count("FAILED"),
            },
          ];
        }),
      ),
    );
    assert.deepEqual(tableRows(sectionOf("docs/comparison.md", "## Conformance")), expected);
  });
});
