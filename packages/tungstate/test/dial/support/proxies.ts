import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { until } from "../../support/until.ts";
import { closedPort, temporaryFolder } from "./peers.ts";

export interface RealProxy {
  readonly port: number;
}

/** Returns whether a program is installed. */
export function isInstalled(program: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

/** Debian's tinyproxy for one test. */
export async function startTinyproxy(t: TestContext, settings: readonly string[] = []): Promise<RealProxy> {
  const folder = temporaryFolder(t);
  const port = await closedPort();
  const config = join(folder, "tinyproxy.conf");
  writeFileSync(
    config,
    [`Port ${port}`, "Listen 127.0.0.1", "Timeout 30", `LogFile "${join(folder, "log")}"`, ...settings, ""].join("\n"),
  );
  return await start(t, port, "tinyproxy", ["-d", "-c", config]);
}

/** Debian's microsocks for one test. */
export async function startMicrosocks(t: TestContext, args: readonly string[] = []): Promise<RealProxy> {
  const port = await closedPort();
  return await start(t, port, "microsocks", ["-i", "127.0.0.1", "-p", String(port), ...args]);
}

async function start(t: TestContext, port: number, program: string, args: readonly string[]): Promise<RealProxy> {
  const child = spawn(program, args, { stdio: "ignore" });
  const ended = once(child, "exit");
  t.after(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  await until(() => {
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`);
    return answers(port);
  }, `${program} listens`);
  return { port };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket: Socket = connect(port, "127.0.0.1");
    socket.on("connect", () => resolve(true));
    socket.on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}
