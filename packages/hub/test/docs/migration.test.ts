import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { describePage, readPage, root, sectionOf, tableRows } from "../../../tungstate/test/docs/support/pages.ts";

// the guides for programs of other libraries, with the programs of both sides
describePage("docs/guides/from-socket-io.md", { ports: [8080, 8081] });
describePage("docs/guides/from-uwebsockets.md", {
  ports: [8080, 8081],
  // a package with the binaries of uWebSockets.js, which is not on npm itself
  packages: { "uWebSockets.js": "@trufflesuite/uws-js-unofficial" },
});
describePage("docs/guides/from-centrifugo.md", { ports: [8080] });
describePage("docs/guides/from-crossws.md", { ports: [8080] });
describePage("docs/guides/from-tungstenite.md", { ports: [8080] });

describePage("docs/guides/from-ws.md", { ports: [8080, 8081] });

describe("docs/guides/from-ws.md: every option of ws", () => {
  const rows = tableRows(sectionOf("docs/guides/from-ws.md", "## Every option of ws"));
  const namesIn = (cell = ""): string[] => [...cell.matchAll(/`(\w+)/g)].map(([, name = ""]) => name);

  test("has each option that the types of ws have, once", () => {
    const types = readPage("packages/ws/types/index.d.cts");
    const options = ["CommonOptions", "ServerOptions", "ClientOptions", "PerMessageDeflateOptions"].flatMap((name) => {
      const [, body = ""] = new RegExp(`interface ${name}\\b.*?\\{\\n(.*?)\\n {2}\\}`, "s").exec(types) ?? [];
      return [...body.matchAll(/^ {4}(\w+)\??[:(]/gm)].map(([, option = ""]) => option);
    });
    assert.ok(options.includes("maxPayload") && options.includes("threshold") && options.includes("verifyClient"));
    assert.deepEqual(
      rows.flatMap((row) => namesIn(row["option of ws"])).toSorted(),
      options.filter((option) => option !== "tungstate").toSorted(),
    );
  });

  test("names options that the native API has", () => {
    const pages = readdirSync(join(root, "docs/api")).map((file) => readPage(`docs/api/${file}`));
    for (const row of rows) {
      for (const name of namesIn(row["native API"])) {
        if (!name.startsWith("tungstate"))
          assert.ok(
            pages.some((page) => page.includes(name)),
            name,
          );
      }
    }
  });
});
