// Finds the programs that the tests need in addition to npm packages, or installs Debian packages
// when run as root. Fails if something is missing. With the argument `interop`, also those of
// npm run interop:http2.
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";

/**
 * Each row: any of `commands` on PATH (or in system folders), or a module of Debian's Python; the
 * Debian package; what needs it.
 */
const NEEDS = [
  {
    commands: ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"],
    debian: "chromium-headless-shell", // takes a third of the time of a Chromium with a window
    for: "the web page in a browser",
  },
  { commands: ["firefox-esr", "firefox"], debian: "firefox-esr", for: "tungstate/browser in Firefox" },
  { python: "websockets", debian: "python3-websockets", for: "interoperation with Python's websockets" },
  { commands: ["ip"], debian: "iproute2", for: "network namespaces and interfaces" },
  { commands: ["openssl"], debian: "openssl", for: "certificates for TLS" },
  { commands: ["redis-server"], debian: "redis-server", for: "the hub on many machines" },
  ...(process.argv.includes("interop")
    ? [
        { commands: ["haproxy"], debian: "haproxy", for: "WebSockets over HTTP/2 through HAProxy" },
        { commands: ["apache2"], debian: "apache2", for: "WebSockets over HTTP/2 through Apache" },
        { commands: ["nghttpx"], debian: "nghttp2-proxy", for: "WebSockets over HTTP/2 through nghttpx" },
      ]
    : []),
];

const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isThere(need) {
  if (need.python !== undefined) {
    return spawnSync("/usr/bin/python3", ["-c", `import ${need.python}`], { stdio: "ignore" }).status === 0;
  }
  return need.commands.some((command) => folders.some((folder) => isExecutable(join(folder, command))));
}

function aptGet(...args) {
  // Lock timeout: two test runs on a fresh machine wait for each other instead of failing.
  const run = spawnSync("apt-get", ["-o", "DPkg::Lock::Timeout=300", "-q", ...args], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  return run.status === 0;
}

let missing = NEEDS.filter((need) => !isThere(need));
if (missing.length > 0 && process.getuid?.() === 0 && folders.some((folder) => isExecutable(join(folder, "apt-get")))) {
  console.log(`installing ${missing.map((need) => need.debian).join(" ")}`);
  // A failed update is not fatal: the existing lists may suffice.
  aptGet("update");
  aptGet("install", "--yes", "--no-install-recommends", ...missing.map((need) => need.debian));
  missing = missing.filter((need) => !isThere(need));
}
if (missing.length > 0) {
  for (const need of missing) {
    const what = need.python === undefined ? need.commands.join(" or ") : `Python module ${need.python}`;
    console.error(`missing: ${what} (Debian package ${need.debian}), for ${need.for}`);
  }
  console.error(
    `Install it and run again; on Debian, as root: apt-get install ${missing.map((need) => need.debian).join(" ")}`,
  );
  process.exit(1);
}
