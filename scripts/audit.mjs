// Checks installed packages for known vulnerabilities: npm run audit. Fails if there are any, of
// any severity, and if npm cannot be asked. `--allow-offline` makes the latter succeed.
import process from "node:process";
import { commandLine, flag } from "./command-line.mjs";
import { spawnNpm } from "./npm.mjs";
import { root } from "./workspaces.mjs";

const { "allow-offline": allowOffline } = commandLine({
  command: "npm run audit --",
  summary: "Asks npm for known vulnerabilities of the installed packages.",
  options: { "allow-offline": flag("exit with 0 if npm cannot be asked") },
});

const { stdout, stderr } = spawnNpm(["audit", "--json"], {
  cwd: root,
  encoding: "utf8",
  maxBuffer: 1 << 26,
});

/** Returns the JSON that npm printed, or undefined if it is not a report. */
function reportOf(text) {
  try {
    const report = JSON.parse(text);
    return report.metadata?.vulnerabilities === undefined ? undefined : report;
  } catch {
    return undefined;
  }
}

const report = reportOf(stdout);
if (report === undefined) {
  const [, reason = stderr.trim()] = /"(?:message|summary)": "(.*)"/.exec(stdout) ?? [];
  console.error(`no audit: npm could not ask for advisories: ${reason}`);
  console.error(
    "npm sends POST /-/npm/v1/security/advisories/bulk, which the npm registry answers and some mirrors do not.",
  );
  process.exit(allowOffline ? 0 : 1);
}
const { total, ...bySeverity } = report.metadata.vulnerabilities;
for (const [name, { severity, via, range }] of Object.entries(report.vulnerabilities)) {
  const titles = via.map((each) => (typeof each === "string" ? `by ${each}` : `${each.title} (${each.url})`));
  console.error(`${name} ${range}: ${severity}: ${titles.join("; ")}`);
}
if (total > 0) {
  console.error(`${total} vulnerabilities: ${JSON.stringify(bySeverity)}`);
  process.exit(1);
}
console.log(`no known vulnerability in ${report.metadata.dependencies.total} packages`);
