import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect as connectTcp, createServer, type AddressInfo } from "node:net";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { connect, WebSocketServer } from "tungstate";
import { leavingNothing } from "./support/leaks.ts";
import { selfSigned } from "./support/sockets.ts";

describe("EADDRINUSE", () => {
  for (const tls of [undefined, selfSigned()]) {
    test(`${tls === undefined ? "" : "with TLS: "}listen rejects, and the server is unchanged`, () =>
      leavingNothing(async () => {
        const other = createServer().listen(0, "127.0.0.1");
        await once(other, "listening");
        const { port } = other.address() as AddressInfo;
        const server = new WebSocketServer();
        const errors: unknown[] = [];
        server.on("error", (error) => errors.push(error));
        const where = tls === undefined ? { port } : { port, tls };
        for (let time = 0; time < 3; time++) await assert.rejects(server.listen(where), { code: "EADDRINUSE" });
        // it has no port with TLS
        assert.throws(() => server.setTls({}), { code: "INVALID_STATE" });
        other.close();
        await once(other, "close");
        await server.listen(where);
        const client = await connect(`ws${tls === undefined ? "" : "s"}://127.0.0.1:${port}/`, {
          proxy: false,
          tls: { ca: selfSigned().cert, sessionCache: false },
        });
        await Promise.all([client.closed, server.close()]);
        assert.deepEqual(errors, []);
      }));
  }

  test("the process of a server that cannot listen exits by itself", () =>
    leavingNothing(async () => {
      const server = new WebSocketServer();
      await assert.rejects(server.listen({ port: 1, host: "192.0.2.1" }), { code: "EADDRNOTAVAIL" });
      await server.close();
    }));
});

describe("EMFILE", { skip: process.platform === "win32" }, () => {
  test("no descriptor for a new client: the application is notified, connected clients continue, and new ones are accepted later", async () => {
    const program = fileURLToPath(new URL("support/crowded-server.ts", import.meta.url));
    const child = spawn(
      "sh",
      ["-c", `ulimit -n 128; exec "$@"`, "sh", process.execPath, ...process.execArgv, program],
      {
        stdio: ["ignore", "inherit", "inherit", "ipc"],
      },
    );
    type Report = Readonly<Record<"port" | "error" | "full" | "free", unknown>>;
    const reports: Report[] = [];
    let wake = (): void => undefined;
    child.on("message", (message) => {
      reports.push(message as Report);
      wake();
    });
    child.on("close", () => wake());
    const ended = once(child, "close");
    const reported = async (key: keyof Report): Promise<unknown> => {
      for (;;) {
        const found = reports.find((each) => key in each);
        if (found !== undefined) return found[key];
        assert.equal(child.exitCode, null, "it lives");
        await new Promise<void>((resolve) => (wake = resolve));
      }
    };
    try {
      const port = Number(await reported("port"));
      const url = `ws://127.0.0.1:${port}/`;
      const before = await connect(url, { proxy: false });
      child.send("take");
      assert.equal(await reported("full"), "EMFILE");
      // libuv takes them with a descriptor that it keeps for that, and hangs up: nobody waits in
      // vain
      const refused = [1, 2, 3].map(() => connectTcp(port, "127.0.0.1"));
      for (const socket of refused) socket.on("error", () => undefined).resume();
      await Promise.all(refused.map((socket) => once(socket, "close")));
      await before.send("still there?");
      for await (const message of before) {
        assert.equal(message.text, "still there?");
        break;
      }
      child.send("give");
      await reported("free");
      const after = await connect(url, { proxy: false });
      child.send("end");
      assert.deepEqual([(await before.closed).code, (await after.closed).code], [1001, 1001]);
      const [code] = (await ended) as [number | null];
      assert.equal(code, 0);
    } finally {
      child.kill("SIGKILL");
    }
  });
});
