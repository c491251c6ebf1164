// npm run test:starter: what a newcomer does, with the packed packages. `npm create tungstate`,
// `npm install` and `npm start` of each template, two browsers that chat, and the command line by
// npx. The packages come from a registry on a loopback port, all others from the configured one.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import process from "node:process";
import { chromium } from "playwright-core";
import { commandLine, flag } from "../../../../scripts/command-line.mjs";
import { npmCommand } from "../../../../scripts/npm.mjs";
import { findBrowser } from "./browser.ts";
import { Program } from "./programs.ts";
import { packAll, startRegistry } from "./registry.ts";

const MINUTE_MS = 60_000; // "two browsers chat within a minute"

const { keep } = commandLine({
  command: "npm run test:starter --",
  summary: "Creates, installs and runs a project of each template from the packed packages.",
  options: { keep: flag("keep the folder of the projects, and print it") },
});

const folder = mkdtempSync(join(tmpdir(), "tungstate-starter-"));
const packages = packAll(folder);
await using registry = await startRegistry(packages);

/** Without the settings that npm passes to its scripts, which would apply to the npm started here. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_|^INIT_CWD$/i.test(name)));
Object.assign(env, {
  npm_config_registry: registry.url,
  npm_config_cache: join(folder, "cache"),
  npm_config_audit: "false",
  npm_config_fund: "false",
  npm_config_update_notifier: "false",
  PORT: "0",
});

const start = (program: "npm" | "npx", cwd: string, ...args: readonly string[]) =>
  new Program(npmCommand(program, args), { cwd, env });

/** Creates a project with `npm create tungstate`, and installs its packages. Returns its folder. */
async function create(template: string): Promise<string> {
  const name = `my-${template}`;
  await using creating = start("npm", folder, "create", "--yes", "tungstate", name, "--", "--template", template);
  await creating.succeed();
  const project = join(folder, name);
  await using installing = start("npm", project, "install");
  await installing.succeed();
  await using checking = start("npm", project, "run", "typecheck");
  await checking.succeed();
  return project;
}

/** Ends a server as Ctrl+C does. */
async function stop(server: Program): Promise<void> {
  server.signal("SIGTERM");
  await server.end();
}

const tests: Record<string, () => Promise<void>> = {
  async chat() {
    const started = performance.now();
    const project = await create("chat");
    await using server = start("npm", project, "start");
    const [, url = ""] = await server.line(/^listening on (http:\S+)$/);
    const browser = await chromium.launch({ executablePath: findBrowser(), args: ["--no-sandbox", "--disable-gpu"] });
    try {
      const errors: string[] = [];
      const open = async (name: string) => {
        const page = await (await browser.newContext()).newPage();
        page.on("pageerror", (error) => errors.push(String(error)));
        page.on("console", (message) => {
          if (message.type() === "error") errors.push(message.text());
        });
        await page.goto(url);
        await page.getByLabel("Your name").fill(name);
        await page.getByRole("button", { name: "Join" }).click();
        await page.getByText("connected", { exact: true }).waitFor();
        return page;
      };
      const [ada, bob] = [await open("Ada"), await open("Bob <b>")];
      await ada.getByLabel("Message", { exact: true }).fill("hello, Bob");
      await ada.keyboard.press("Enter");
      await bob.getByText("Ada hello, Bob").waitFor();
      await bob.getByLabel("Message", { exact: true }).fill("<i>hello</i>, Ada");
      await bob.keyboard.press("Enter");
      await ada.getByText("Bob <b> <i>hello</i>, Ada").waitFor();
      const took = performance.now() - started;
      await ada.getByText("Ada, Bob <b>").waitFor(); // the members of the room
      const late = await open("Cy");
      await late.getByText("Ada hello, Bob").waitFor(); // from the history
      assert.deepEqual(errors, []);
      assert.ok(took < MINUTE_MS, `two browsers chatted after ${Math.round(took / 1000)} s`);
      console.log(`  two browsers chatted ${(took / 1000).toFixed(1)} s after "npm create" in an empty folder`);
    } finally {
      await browser.close();
    }
    await stop(server);
  },

  async broadcast() {
    const project = await create("broadcast");
    await using server = start("npm", project, "start");
    const [, url = ""] = await server.line(/^listening on (ws:\S+)$/);
    await using one = start("npm", project, "run", "client", "--", url);
    await using other = start("npm", project, "run", "client", "--", url);
    await Promise.all([one.line(/^connected/), other.line(/^connected/)]);
    one.write("hello from the terminal");
    await Promise.all([one.line(/^hello from the terminal$/), other.line(/^hello from the terminal$/)]);
    one.finish();
    other.finish();
    await Promise.all([one.succeed(), other.succeed()]);
    await stop(server);
  },

  async fastify() {
    const project = await create("fastify");
    await using server = start("npm", project, "start");
    const [, url = ""] = await server.line(/^listening on (http:\S+)$/);
    const [, password = ""] = await server.line(/^the password until the server stops: (\w+)$/);
    const client = (name: string, secret: string) =>
      start("npm", project, "run", "client", "--", "--url", url, "--name", name, "--password", secret);
    await using wrong = client("mallory", "guess");
    await wrong.line(/unauthorized/);
    await wrong.end();
    await using ada = client("ada", password);
    await using bob = client("bob", password);
    await Promise.all([ada.line(/^connected as ada$/), bob.line(/^connected as bob$/)]);
    ada.write("hello");
    await bob.line(/^ada: hello$/);
    ada.finish();
    bob.finish();
    await Promise.all([ada.succeed(), bob.succeed()]);
    await stop(server);
  },

  async interface() {
    const project = await create("interface");
    await using client = start("npm", project, "start");
    await client.line(/ \(loopback\): .*127\.0\.0\.1/);
    await client.line(/^through \S.*: you come from 127\.0\.0\.1$/);
    await client.succeed();
  },

  async withoutDashes() {
    await using taken = start("npm", folder, "create", "--yes", "tungstate", "other", "--template=broadcast");
    await taken.line(/npm took --template as an option of its own/);
    assert.notEqual(await taken.end(), 0);
    assert.ok(!readdirSync(folder).includes("other"));
  },

  async npx() {
    const empty = mkdtempSync(join(folder, "npx-"));
    await using server = start("npx", empty, "--yes", "@tungstate/cli", "serve", "--port", "0");
    const [, url = ""] = await server.line(/^listening on (http:\S+)$/);
    const health = (await (await fetch(new URL("/health", url))).json()) as { status: string };
    assert.equal(health.status, "ok");
    await using client = start("npx", empty, "--yes", "@tungstate/cli", "connect", `${url.replace("http", "ws")}/echo`);
    client.write("through npx");
    await client.line(/^through npx$/);
    client.finish();
    await client.succeed();
    await stop(server);
    assert.deepEqual(readdirSync(empty), []);
  },
};

let failures = 0;
for (const [name, test] of Object.entries(tests)) {
  const started = performance.now();
  try {
    await test();
    console.log(`✔ ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failures++;
    console.error(`✖ ${name}\n`, error);
  }
}
if (keep) console.log(`the projects are in ${folder}`);
else rmSync(folder, { recursive: true });
if (failures > 0) process.exitCode = 1;
