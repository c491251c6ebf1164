import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { connect } from "../../src/client/connect.ts";
import { dial } from "../../src/dial/dial.ts";
import { checkSocketSettings, deviceError, supportsSocketSettings } from "../../src/dial/device.ts";
import { until } from "../support/until.ts";
import { closedPort, listenEcho, LOOPBACK } from "./support/peers.ts";

const skip = !supportsSocketSettings() && "SO_BINDTODEVICE needs Node.js on Linux";

describe("bindToDevice", { skip }, () => {
  test("a connection bound to the loopback device", async (t) => {
    const peer = await listenEcho(t);
    const { stream, route } = await dial(
      { host: "127.0.0.1", port: peer.port },
      { interface: LOOPBACK, bindToDevice: true, localAddress: "127.0.0.5", tcpUserTimeout: 10_000 },
    );
    assert.deepEqual([route.interface, route.localAddress], [LOOPBACK, "127.0.0.5"]);
    stream.write("hello");
    assert.equal(String((await once(stream, "data"))[0]), "hello");
    stream.end();
    await once(stream, "close");
    await peer.idle();
  });

  test("failures are those of any connection, and leave no descriptor behind", async (t) => {
    const peer = await listenEcho(t);
    const port = await closedPort();
    const bound = { interface: LOOPBACK, bindToDevice: true };
    const descriptors = (): number => readdirSync("/proc/self/fd").length;
    const tries = async (): Promise<void> => {
      await assert.rejects(dial({ host: "127.0.0.1", port }, bound), { code: "REFUSED" });
      await assert.rejects(dial({ host: "127.0.0.1", port: peer.port }, { ...bound, localAddress: "203.0.113.7" }), {
        code: "ADDRESS_NOT_LOCAL",
      });
      await assert.rejects(dial({ host: "203.0.113.1", port }, { ...bound, connectTimeout: 50 }), { step: "connect" });
      const controller = new AbortController();
      const aborted = dial({ host: "127.0.0.1", port: peer.port }, { ...bound, signal: controller.signal });
      controller.abort();
      await assert.rejects(aborted, { code: "ABORTED" });
      await new Promise((resolve) => setImmediate(resolve));
    };
    await tries();
    await peer.idle();
    const before = descriptors();
    for (let count = 0; count < 5; count++) await tries();
    await peer.idle();
    // A leak would be 5 for each type of failure; one or two are noise of Node.
    await until(() => descriptors() < before + 5, `fewer than 5 descriptors beside the ${before} from before`);
  });

  test("an errno is explained, with a remedy", () => {
    const gone = deviceError(19, "eth7");
    assert.deepEqual([gone.code, gone.tried.interface], ["NO_SUCH_INTERFACE", "eth7"]);
    for (const errno of [1, 13]) {
      const { code, message } = deviceError(errno, "eth0");
      assert.equal(code, "BIND_NOT_PERMITTED");
      assert.match(message, /CAP_NET_RAW.*setcap cap_net_raw.*--cap-add NET_RAW/);
    }
    assert.equal(deviceError(92, "eth0").code, "NOT_SUPPORTED");
    assert.match(deviceError(22, "eth0").message, /errno 22, on eth0$/);
  });
});

describe("a runtime that cannot use a file descriptor", () => {
  const options = [{ interface: LOOPBACK, bindToDevice: true }, { tcpUserTimeout: 1000 }];

  test("is named by the error, with the option", () => {
    for (const name of ["Bun", "Deno"] as const) {
      const check = (settings: object): void => checkSocketSettings(settings, {}, { name, version: "1.2.3" });
      assert.throws(() => check({ device: "eth0" }), {
        code: "NOT_SUPPORTED",
        message: `the system or the runtime does not support this: bindToDevice needs Node.js on Linux, this is ${name} 1.2.3; leave it out`,
      });
      assert.throws(() => check({ userTimeout: 5 }), { code: "NOT_SUPPORTED", message: /tcpUserTimeout needs/ });
      check({});
    }
  });

  test("rejects before the name is resolved", { skip: supportsSocketSettings() && "this runtime can" }, async () => {
    const lookup = (): never => assert.fail("it looked up the name");
    for (const option of options) {
      for (const run of [
        () => dial({ host: "name.example", port: 9 }, { ...option, lookup }),
        () => connect("ws://name.example:9/", { ...option, lookup }),
      ]) {
        await assert.rejects(run, { code: "NOT_SUPPORTED" });
      }
    }
  });
});

test("without the optional packages, and on another system, errors name the remedy", { skip }, () => {
  const script = fileURLToPath(new URL("support/without-peers.ts", import.meta.url));
  const output = execFileSync(process.execPath, [...process.execArgv, script], { encoding: "utf8" });
  assert.deepEqual(JSON.parse(output), [
    [
      "PACKAGE_MISSING",
      "bind",
      `an optional package is not installed: bindToDevice calls the C library through koffi: npm install koffi, to 127.0.0.1:9 on ${LOOPBACK}`,
    ],
    [
      "PACKAGE_MISSING",
      "bind",
      "an optional package is not installed: tcpUserTimeout calls the C library through koffi: npm install koffi, to 127.0.0.1:9",
    ],
    [
      "NOT_SUPPORTED",
      "bind",
      `the system or the runtime does not support this: bindToDevice needs Linux, this is darwin; leave it out, to 127.0.0.1:9 on ${LOOPBACK}`,
    ],
  ]);
});
