// Measures TLS handshakes per second and their bytes, full against resumed, through the client's
// `secure`: node --import tsx bench/tls/main.ts; `--help` lists the options. The server is node:tls
// in a separate process. A connection ends as soon as both sides have what the next one needs.
import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { commandLine, integer, number } from "../../scripts/command-line.mjs";
import { secure } from "tungstate";
import type { ServerOptions } from "./server.ts";

const { seconds, "in-flight": inFlight } = commandLine({
  command: "node --import tsx bench/tls/main.ts",
  summary: "Measures TLS handshakes per second and their bytes, full against resumed.",
  options: {
    seconds: number({ least: 0.1, help: "seconds of each measurement", byDefault: 2 }),
    "in-flight": integer({ least: 1, help: "handshakes at a time", byDefault: 4 }),
  },
});
if (!(seconds > 0) || !(Number.isInteger(inFlight) && inFlight > 0)) {
  throw new Error("--seconds takes a number above 0, --in-flight an integer above 0");
}

interface Measured {
  readonly perSecond: number;
  /** CPU time of the client for one connection, in ms. */
  readonly clientCpu: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

const folder = mkdtempSync(join(tmpdir(), "tungstate-bench-"));

/** Creates a certificate for localhost by key type. */
function certificate(name: string, ...newkey: readonly string[]): { readonly key: string; readonly cert: string } {
  const [keyFile, certFile] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"];
  execFileSync("openssl", ["req", "-x509", "-nodes", ...newkey, "-keyout", keyFile, "-out", certFile, ...subject], {
    stdio: "pipe",
  });
  return { key: readFileSync(keyFile, "utf8"), cert: readFileSync(certFile, "utf8") };
}

async function startServer(options: ServerOptions): Promise<{ readonly port: number; readonly stop: () => void }> {
  const child = fork(fileURLToPath(new URL("server.ts", import.meta.url)));
  child.send(options);
  const [port] = (await once(child, "message")) as [number];
  return { port, stop: () => child.disconnect() };
}

async function measure(port: number, ca: string, resume: boolean): Promise<Measured> {
  const totals = { connections: 0, sent: 0, received: 0 };
  const one = async (): Promise<boolean> => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const options = { host: "localhost", port, ca, ...(resume ? {} : { sessionCache: false as const }) };
    const { stream, info } = await secure(socket, options);
    // The server writes one byte after its handshake; bytes before it are the tickets for the next
    // connection.
    await once(stream, "data");
    totals.sent += socket.bytesWritten;
    totals.received += socket.bytesRead;
    totals.connections++;
    stream.destroy();
    return info.resumed;
  };
  for (let warmup = 0; warmup < 20; warmup++) await one();
  if ((await one()) !== resume) throw new Error(`a handshake was expected to be ${resume ? "resumed" : "full"}`);
  Object.assign(totals, { connections: 0, sent: 0, received: 0 });

  const cpu = process.cpuUsage();
  const start = performance.now();
  const end = start + seconds * 1000;
  const lane = async (): Promise<void> => {
    while (performance.now() < end) await one();
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  const took = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return {
    perSecond: totals.connections / took,
    clientCpu: (user + system) / 1000 / totals.connections,
    bytesSent: totals.sent / totals.connections,
    bytesReceived: totals.received / totals.connections,
  };
}

try {
  const certificates = {
    "P-256": certificate("ec", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "RSA 2048": certificate("rsa", "-newkey", "rsa:2048"),
  };
  console.log(
    `Node ${process.version}, OpenSSL ${process.versions.openssl}, ${inFlight} handshakes at a time, ${seconds} s each\n`,
  );
  console.log(
    "| version | server's key | handshake | per second | client's CPU, ms each | bytes sent | bytes received |",
  );
  console.log("| --- | --- | --- | --: | --: | --: | --: |");
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    for (const [name, { key, cert }] of Object.entries(certificates)) {
      const server = await startServer({ key, cert, version });
      for (const resume of [false, true]) {
        const result = await measure(server.port, cert, resume);
        const values = [result.perSecond.toFixed(0), result.clientCpu.toFixed(2)];
        values.push(result.bytesSent.toFixed(0), result.bytesReceived.toFixed(0));
        console.log(`| ${version} | ${name} | ${resume ? "resumed" : "full"} | ${values.join(" | ")} |`);
      }
      server.stop();
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
