// Entry point of npm run wpt; `--help` lists the options.
import { execFileSync, fork } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { commandLine, text } from "../../scripts/command-line.mjs";
import { TestServers } from "./server.ts";
import type { Job, Report } from "./worker.ts";

const { wpt, only } = commandLine({
  command: "npm run wpt --",
  summary: "Runs the folder websockets of the Web Platform Tests (*.any.js) on the classes of tungstate/web.",
  options: {
    wpt: text({ argument: "folder", help: "a checkout of web-platform-tests/wpt: resources, interfaces, websockets" }),
    only: text({ argument: "part", help: "only files whose path contains this part" }),
  },
});
if (wpt === undefined) {
  process.stderr.write("npm run wpt --: --wpt is required (--help lists the options)\n");
  process.exit(2);
}
const TIMEOUT = 60_000; // ms for one file, as that of slow tests in a browser

/** The variants of a file over HTTP/1.1. `wpt_flags=h2` needs RFC 8441. */
function variantsOf(file: string): readonly string[] {
  const source = readFileSync(join(wpt ?? "", file), "utf8");
  const variants = [...source.matchAll(/^\/\/ META: variant=(.*)$/gm)].map(([, variant = ""]) => variant.trim());
  const kept = variants.filter((variant) => !variant.includes("wpt_flags=h2"));
  return variants.length === 0 ? [""] : kept;
}

/** Whether a file is for workers or windows only. */
function needsBrowser(file: string): boolean {
  return /\.(?:window|worker|https)\.any\.js$/.test(file);
}

const folder = mkdtempSync(join(tmpdir(), "tungstate-wpt-"));
let passed = 0;
const failures: string[] = [];
try {
  const [keyFile, certFile] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync("openssl", ["req", "-x509", ...kind, "-keyout", keyFile, "-out", certFile, ...subject], {
    stdio: "ignore",
  });
  await using servers = await TestServers.start(wpt, {
    key: readFileSync(keyFile, "utf8"),
    cert: readFileSync(certFile, "utf8"),
  });
  const files = readdirSync(join(wpt, "websockets"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".any.js"))
    .map((entry) => relative(wpt, join(entry.parentPath, entry.name)).replaceAll(sep, "/"))
    .filter((file) => !needsBrowser(file) && (only === undefined || file.includes(only)))
    .toSorted();
  for (const file of files) {
    for (const variant of variantsOf(file)) {
      await runFile({ folder: wpt, file, variant, ports: servers.ports }, certFile);
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
for (const failure of failures) console.log(failure);
console.log(`${passed} of ${passed + failures.length} subtests passed`);
process.exitCode = failures.length === 0 ? 0 : 1;

/** Runs one file with one variant in a process of its own, which trusts the certificate. */
async function runFile(job: Job, certFile: string): Promise<void> {
  const name = `${job.file}${job.variant}`;
  const worker = fork(fileURLToPath(new URL("worker.ts", import.meta.url)), [JSON.stringify(job)], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: certFile },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let isDone = false;
  let stderr = "";
  worker.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  worker.on("message", (message: Report) => {
    if (message.type === "done") {
      isDone = true;
      worker.kill();
    } else if (message.status === 0) passed++;
    else failures.push(`${name}: ${message.name}: ${message.message ?? ""}`);
  });
  const timer = setTimeout(() => worker.kill(), TIMEOUT);
  await new Promise((resolve) => worker.once("close", resolve));
  clearTimeout(timer);
  if (!isDone) failures.push(`${name}: did not complete: ${stderr.split("\n").slice(0, 8).join(" ")}`);
}
