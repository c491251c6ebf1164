import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** A certificate for localhost and its key, as PEM. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

const PATIENCE = 20_000; // ms until a program listens

/** A folder for certificates and configurations, which is removed at the end. */
export class Workspace implements Disposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), "tungstate-http2-"));
  readonly certificate: Certificate;

  constructor() {
    const files = ["-keyout", this.path("key.pem"), "-out", this.path("cert.pem")];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    execFileSync("openssl", ["req", "-x509", ...kind, ...files, ...subject], { stdio: "ignore" });
    this.certificate = { key: this.read("key.pem"), cert: this.read("cert.pem") };
    this.write("both.pem", this.certificate.cert + this.certificate.key);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, text: string): string {
    writeFileSync(this.path(name), text);
    return this.path(name);
  }

  private read(name: string): string {
    return readFileSync(this.path(name), "utf8");
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

/** Returns a free port of 127.0.0.1. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

const running = new Set<() => Promise<void>>();

/** Ends the programs of rows that hang. */
export async function endPrograms(): Promise<void> {
  await Promise.all([...running].map((end) => end()));
}

/** Starts a program and waits until it listens on a port. Returns what ends it. */
export async function startProgram(
  command: string,
  args: readonly string[],
  port: number,
  cwd: string,
): Promise<AsyncDisposable> {
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin`;
  const child = spawn(command, args, { cwd, env: { ...process.env, PATH: path }, detached: true });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  let failure: Error | undefined;
  child.once("error", (error) => (failure = error));
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const end = async (): Promise<void> => {
    running.delete(end);
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // it has ended
    }
    await closed;
  };
  running.add(end);
  const deadline = performance.now() + PATIENCE;
  while (!(await listens(port))) {
    if (failure === undefined && child.exitCode === null && performance.now() < deadline) continue;
    await end();
    throw new Error(`${command} does not listen: ${failure?.message ?? said.slice(-500)}`);
  }
  return { [Symbol.asyncDispose]: end };
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  const isOpen = await new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("error", () => setTimeout(() => resolve(false), 20));
  });
  socket.destroy();
  return isOpen;
}
