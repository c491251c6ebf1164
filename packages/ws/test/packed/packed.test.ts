// The packed package under the name ws: require, import, the browser field and the types.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { packedProject, referenceProject, root } from "./support.ts";

const MEMBERS = [
  "PerMessageDeflate",
  "Receiver",
  "Sender",
  "WebSocket",
  "WebSocketServer",
  "createWebSocketStream",
  "extension",
  "subprotocol",
];

for (const [title, create] of [
  ["ws", referenceProject],
  ["@tungstate/ws as ws", packedProject],
] as const) {
  suite(`packed: ${title}`, () => {
    const folder = create();
    after(() => rmSync(folder, { recursive: true }));

    const node = (file: string, source: string): unknown => {
      writeFileSync(join(folder, file), source);
      return JSON.parse(execFileSync(process.execPath, [file], { cwd: folder, encoding: "utf8" }));
    };

    test("require returns the class with the other exports", () => {
      const shape = node(
        "require.cjs",
        `const ws = require("ws");
         console.log(JSON.stringify([typeof ws, ws.name, "__esModule" in ws, Object.keys(ws).toSorted()]));`,
      );
      const keys = [...MEMBERS, "CLOSED", "CLOSING", "CONNECTING", "OPEN", "Server"].toSorted();
      assert.deepEqual(shape, ["function", "WebSocket", false, keys]);
    });

    test("import has the class as default and the names", () => {
      const shape = node(
        "import.mjs",
        `import * as all from "ws"; import WebSocket, { WebSocketServer } from "ws";
         console.log(JSON.stringify([Object.keys(all).toSorted(), WebSocket.name, WebSocketServer.name]));`,
      );
      assert.deepEqual(shape, [[...MEMBERS, "default"].toSorted(), "WebSocket", "WebSocketServer"]);
    });

    test("require and import have the same classes", () => {
      const same = node(
        "both.mjs",
        `import { createRequire } from "node:module"; import * as all from "ws";
         const required = createRequire(import.meta.url)("ws");
         console.log(JSON.stringify(Object.keys(all).filter((name) => name !== "default" && all[name] !== required[name])
           .concat(all.default === required ? [] : ["default"])));`,
      );
      assert.deepEqual(same, []);
    });

    test("import() and require at the same time", () => {
      writeFileSync(join(folder, "required.cjs"), `module.exports = require("ws");`);
      const same = node(
        "concurrent.mjs",
        `const [a, b, c] = await Promise.all([import("ws"), import("./required.cjs"), import("ws")]);
         console.log(JSON.stringify([a.default === b.default, a === c]));`,
      );
      assert.deepEqual(same, [true, true]);
    });

    for (const [loader, flags, prelude] of [
      ["Node.js without require of ES modules", ["--no-experimental-require-module"], ""],
      [
        "a loader that compiles all files as CommonJS",
        [],
        `const { readFileSync } = require("node:fs");
         require.extensions[".js"] = (module, file) => module._compile(\`\${readFileSync(file)}\\nreturn;\`, file);`,
      ],
    ] as const) {
      test(`require by ${loader} has all classes, and import() the same ones`, () => {
        writeFileSync(
          join(folder, "loader.cjs"),
          `${prelude}
           const ws = require("ws");
           const server = new ws.WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: true }, () => {
             const client = new ws("ws://127.0.0.1:" + server.address().port);
             client.on("message", async (data) => {
               client.close();
               server.close();
               const all = await import("ws");
               const names = ["WebSocket", "WebSocketServer", "Receiver", "Sender", "PerMessageDeflate"];
               console.log(JSON.stringify([data.toString(), Object.keys(ws).length, names.filter(
                 (name) => ws[name].name !== name || all[name] !== ws[name])]));
             });
           });
           server.on("connection", (socket) => socket.send("x".repeat(2000)));`,
        );
        const output = execFileSync(process.execPath, [...flags, "loader.cjs"], { cwd: folder, encoding: "utf8" });
        assert.deepEqual(JSON.parse(output), ["x".repeat(2000), 13, []]);
      });
    }

    test("a client and a server of the package exchange messages", () => {
      const received = node(
        "exchange.cjs",
        `const { WebSocket, WebSocketServer } = require("ws");
         const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: true }, () => {
           const client = new WebSocket("ws://127.0.0.1:" + server.address().port);
           client.on("message", (data, isBinary) => {
             console.log(JSON.stringify([data.toString(), isBinary, client.extensions]));
             client.close();
             server.close();
           });
         });
         server.on("connection", (socket) => socket.send("x".repeat(5)));`,
      );
      assert.deepEqual(received, ["xxxxx", false, "permessage-deflate"]);
    });

    test("package.json can be required, and its version is one of ws 8", () => {
      const manifest = node("manifest.cjs", `console.log(JSON.stringify(require("ws/package.json")));`) as {
        version: string;
        exports: Record<string, Record<string, unknown>>;
      };
      assert.equal(typeof manifest.version, "string");
      assert.ok(manifest.exports["."]?.["browser"] !== undefined);
    });

    test("the browser entry is a function that throws", () => {
      const manifest = JSON.parse(readFileSync(join(folder, "node_modules/ws/package.json"), "utf8")) as {
        browser: string;
      };
      const file = join("node_modules/ws", manifest.browser);
      assert.ok(existsSync(join(folder, file)));
      const text = node(
        "browser.cjs",
        `const entry = require(${JSON.stringify(`./${file}`)});
         try { entry(); } catch (error) { console.log(JSON.stringify(error.message)); }`,
      );
      assert.match(
        String(text),
        /^ws does not work in the browser\. Browser clients must use the native WebSocket object$/,
      );
    });

    test("programs in ESM and CommonJS compile", () => {
      cpSync(new URL("programs", import.meta.url), folder, { recursive: true });
      if (!existsSync(join(folder, "node_modules/@types/node"))) {
        cpSync(join(root, "node_modules/@types/node"), join(folder, "node_modules/@types/node"), { recursive: true });
        symlinkSync(join(root, "node_modules/undici-types"), join(folder, "node_modules/undici-types"));
      }
      writeFileSync(
        join(folder, "tsconfig.json"),
        JSON.stringify({
          compilerOptions: {
            module: "NodeNext",
            target: "ES2023",
            lib: ["ES2023"],
            strict: true,
            noEmit: true,
            types: ["node"],
            skipLibCheck: false,
          },
          files: ["modules.mts", "commonjs.cts"],
        }),
      );
      const { status, stdout } = spawnSync(
        process.execPath,
        [join(root, "node_modules/typescript/bin/tsc"), "-p", folder],
        { encoding: "utf8" },
      );
      assert.equal(stdout, "");
      assert.equal(status, 0);
    });
  });
}
