import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { routesOfAllVersions as routes } from "../support/routes.ts";

const PROGRAM = fileURLToPath(new URL("../support/ignored-promises.ts", import.meta.url));

test("an ignored promise never ends the process, on any route, in any state", async () => {
  const child = spawn(process.execPath, ["--unhandled-rejections=strict", ...process.execArgv, PROGRAM], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, errors, [status]] = (await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit"),
  ])) as [string, string, [number | null]];
  const names = routes.flatMap(({ name }) => [name, `a handler of ${name}`]);
  assert.deepEqual(out.trim().split("\n"), [...names, "reconnecting", "a server", "all"], errors);
  assert.equal(status, 0, errors);
});

/** Invalid calls in a handler. */
const WRONG: Readonly<Record<string, (connection: WebSocketConnection) => unknown>> = {
  "close(1005)": (connection) => void connection.close(1005),
  "a reason of 160 bytes": (connection) => void connection.close(1011, "é".repeat(80)),
  "send(5)": (connection) => void connection.send(5 as never),
  "a ping of 126 bytes": (connection) => void connection.ping("x".repeat(126)),
  "sendStream(5)": (connection) => void connection.sendStream(5 as never),
};

for (const route of routes) {
  describe(`an invalid argument in a handler of ${route.name}`, () => {
    for (const [name, call] of Object.entries(WRONG)) {
      test(`${name} throws synchronously, and the connection is closed with 1011`, async (t) => {
        const thrown: unknown[] = [];
        const warnings: unknown[] = [];
        const onWarning = (warning: Error): void => void warnings.push(warning);
        process.on("warning", onWarning);
        t.after(() => process.off("warning", onWarning));
        const served = await route.start(t, {}, (connection) => {
          connection.on("message", () => {
            try {
              call(connection);
            } catch (error) {
              thrown.push(error);
              throw error;
            }
          });
        });
        const client = await served.connect();
        client.write("go");
        const { code } = await client.closed;
        assert.equal(code, 1011);
        const codes = (errors: readonly unknown[]): unknown[] =>
          errors.map((error) => Reflect.get(Object(error), "code"));
        assert.deepEqual(codes(thrown), ["INVALID_ARGUMENT"]);
        // without a server, only the process can be notified
        if (served.server !== undefined) assert.deepEqual(codes(served.errors), ["INVALID_ARGUMENT"]);
        else assert.deepEqual(codes(warnings), ["INVALID_ARGUMENT"]);
      });
    }
  });
}
