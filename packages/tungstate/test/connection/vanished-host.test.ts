import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, test } from "node:test";
import { TwoNetworks } from "../dial/support/namespaces.ts";
import { routes } from "../support/routes.ts";
import type { Ended } from "./support/vanished-host.ts";

const impossible = TwoNetworks.impossible();
const PROGRAM = fileURLToPath(new URL("support/vanished-host.ts", import.meta.url));
const ROUTES = [...routes.map(({ name }) => `server: ${name}`), "connect to ws:", "connect to wss:", "reconnecting"];

describe("a connection whose queues are full and whose heartbeat is short", { skip: impossible ?? false }, () => {
  test("is kept while its peer's host is there, and ends when the host has vanished, on every route", () => {
    const command = ["--net", process.execPath, ...process.execArgv, PROGRAM];
    const { stdout, stderr, status } = spawnSync("unshare", command, { encoding: "utf8", timeout: 120_000 });
    assert.equal(status, 0, stderr);
    assert.deepEqual(
      JSON.parse(stdout) as Ended[],
      ROUTES.map((name) => ({ name, before: "open", code: "HEARTBEAT_TIMEOUT" })),
    );
  });
});
