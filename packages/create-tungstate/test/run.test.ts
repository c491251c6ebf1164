import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { after, describe, test } from "node:test";
import { CreateError } from "../src/errors.ts";
import { nearest, problemOf, suggestionFor } from "../src/names.ts";
import { run } from "../src/run.ts";

const temporary = mkdtempSync(join(tmpdir(), "tungstate-create-"));
after(() => rmSync(temporary, { recursive: true }));
let count = 0;
const newFolder = () => join(temporary, `app-${++count}`);

interface Outcome {
  readonly text: string;
  readonly error: CreateError | undefined;
}

/** Runs the program. With `answers` it has a terminal, on which each line is an answer. */
async function create(
  args: readonly string[],
  { answers, env = {} }: { answers?: readonly string[]; env?: Readonly<Record<string, string>> } = {},
): Promise<Outcome> {
  const isTTY = answers !== undefined;
  const input = Object.assign(new PassThrough(), { isTTY });
  const output = Object.assign(new PassThrough(), { isTTY });
  let text = "";
  const waiting = [...(answers ?? [])];
  output.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    // a question ends without a line break
    if (!/\): $/.test(text)) return;
    const answer = waiting.shift();
    if (answer === undefined) input.end();
    else input.write(`${answer}\n`);
  });
  try {
    await run({ args, input, output, env });
    return { text, error: undefined };
  } catch (error) {
    if (!(error instanceof CreateError)) throw error;
    return { text, error };
  }
}

const nameIn = (folder: string) =>
  (JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { name: string }).name;

describe("create-tungstate with arguments", () => {
  test("creates the chat without a template, and prints the next steps", async () => {
    const folder = newFolder();
    const { text, error } = await create([folder]);
    assert.equal(error, undefined);
    assert.match(text, /^Created \d+ files of the template chat in /);
    assert.match(text, /\n {2}cd .*app-\d+\n {2}npm install\n {2}npm start\n/);
    assert.ok(readdirSync(folder).includes(".gitignore"));
  });

  for (const manager of ["pnpm", "yarn", "bun"]) {
    test(`prints the commands of ${manager} when it runs the program`, async () => {
      const { text } = await create([newFolder()], { env: { npm_config_user_agent: `${manager}/1.2.3 node/v20` } });
      assert.match(text, new RegExp(`\n {2}${manager} install\n {2}${manager} start\n`));
    });
  }

  for (const flag of ["--template", "-t"]) {
    test(`${flag} chooses the template`, async () => {
      const folder = newFolder();
      const { text } = await create([folder, flag, "broadcast"]);
      assert.match(text, /template broadcast/);
      assert.ok(readdirSync(join(folder, "src")).includes("client.ts"));
    });
  }

  test("--name sets the name, and folders on the way are created", async () => {
    const folder = join(newFolder(), "deep", "My Folder");
    assert.equal((await create([folder, "--name", "other-name"])).error, undefined);
    assert.equal(nameIn(folder), "other-name");
  });

  test("an existing empty folder and one with .git are used", async () => {
    const folder = newFolder();
    mkdirSync(join(folder, ".git"), { recursive: true });
    assert.equal((await create([folder])).error, undefined);
    assert.equal(nameIn(folder), folder.split(/[\\/]/).at(-1));
  });

  test("a folder that is not empty is rejected, and stays as it was", async () => {
    const folder = newFolder();
    mkdirSync(folder);
    for (const name of ["a", "b", "c", "d"]) writeFileSync(join(folder, name), name);
    const { error } = await create([folder]);
    assert.equal(error?.status, 1);
    assert.match(error?.message ?? "", /is not empty, it contains a, b, c, …: name a new or an empty folder$/);
    assert.deepEqual(readdirSync(folder), ["a", "b", "c", "d"]);
  });

  test("a file in place of the folder is rejected", async () => {
    const folder = newFolder();
    writeFileSync(folder, "");
    for (const path of [folder, join(folder, "below")]) {
      const { error } = await create([path]);
      assert.equal(error?.status, 1);
      assert.match(error?.message ?? "", /is not a folder$/);
    }
  });

  for (const [args, message] of [
    [[], /^a folder is required: npm create tungstate my-app$/],
    [[""], /^the folder is an empty string/],
    [["--template", "chat"], /^a folder is required/],
    [["a", "b"], /^unexpected argument "b": there can be one folder$/],
    [["a", "--template", "fastfy"], /^unknown template "fastfy": did you mean fastify\? The templates are chat, /],
    [["a", "--template", "CHAT"], /^unknown template "CHAT": did you mean chat\?/],
    [["a", "--template", ""], /^unknown template "": did you mean /],
    [["a", "--template", "constructor"], /^unknown template "constructor": did you mean /],
    [["a", "--template"], /^Option '-t, --template <value>' argument missing \(--help lists the options\)$/],
    [["a", "--templat", "chat"], /^Unknown option '--templat' \(--help lists the options\)$/],
    [["My App"], /^the name of the project must be a package name, got "My App": .* Try my-app, or set .* --name$/],
    [["a", "--name", "../up"], /^the name of the project must be a package name, got "\.\.\/up"/],
    [["node_modules"], /npm reserves it/],
    [["a", "--name", ""], /it is empty/],
  ] as const) {
    test(`rejects ${JSON.stringify(args)} with status 2`, async () => {
      const { error } = await create(args);
      assert.match(error?.message ?? "", message);
      assert.equal(error?.status, 2);
    });
  }

  // npm create tungstate my-app --template broadcast, without -- before the options
  for (const [env, args, option] of [
    [{ npm_config_template: "true" }, ["app", "broadcast"], "--template"],
    [{ npm_config_template: "true" }, ["broadcast"], "--template"],
    [{ npm_config_template: "broadcast" }, ["app"], "--template"],
    [{ npm_config_t: "true" }, ["app", "broadcast"], "-t"],
    [{ npm_config_name: "other" }, ["app"], "--name"],
  ] as const) {
    test(`says that npm took an option: ${JSON.stringify(env)} ${args.join(" ")}`, async () => {
      const { error } = await create(args, { env });
      assert.match(error?.message ?? "", new RegExp(`^npm took ${option} as an option of its own\\. Put -- before`));
      assert.equal(error?.status, 2);
    });
  }

  test("--help and --version print and create nothing", async () => {
    const { text } = await create(["--help"]);
    assert.match(text, /^Usage: npm create tungstate \[folder\] -- \[options\]\n/);
    assert.match((await create(["-v"])).text, /^\d+\.\d+\.\d+.*\n$/);
  });
});

describe("create-tungstate on a terminal", () => {
  test("asks for folder and template", async () => {
    const folder = newFolder();
    const { text, error } = await create([], { answers: [folder, "2"] });
    assert.equal(error, undefined);
    assert.match(
      text,
      /Folder \(my-tungstate-app\): [^]*\n? {2}1\. chat: .*\n {2}2\. broadcast: [^]*Template \(1\): 2\r\n\S*Created/,
    );
    assert.ok(readdirSync(join(folder, "src")).includes("client.ts"));
  });

  test("asks only for what is missing", async () => {
    const one = await create([newFolder()], { answers: [""] });
    assert.doesNotMatch(one.text, /Folder \(/);
    assert.match(one.text, /template chat/);
    const other = await create(["-t", "interface"], { answers: [newFolder()] });
    assert.doesNotMatch(other.text, /Template \(/);
    assert.match(other.text, /template interface/);
  });

  test("explains an invalid answer and asks again", async () => {
    const answers = [join(temporary, "My App"), newFolder(), "9", "fastfy", "fastify"];
    const { text, error } = await create([], { answers });
    assert.equal(error, undefined);
    assert.match(text, /"My App" cannot be a package name: .*Try my-app\n/);
    assert.match(text, /unknown template "9"/);
    assert.match(text, /did you mean fastify\?/);
    assert.match(text, /Created \d+ files of the template fastify/);
  });

  test("the end of input cancels", async () => {
    const { error } = await create([], { answers: [] });
    assert.equal(error?.message, "cancelled, nothing was created");
    assert.equal(error?.status, 1);
  });

  test("an unknown template in the arguments is an error before any question", async () => {
    const { text, error } = await create(["-t", "nothing"], { answers: [newFolder()] });
    assert.equal(text, "");
    assert.match(error?.message ?? "", /^unknown template/);
  });
});

describe("names", () => {
  for (const name of ["a", "my-app", "app.1", "0", "a_b", "x".repeat(214)]) {
    test(`${name.slice(0, 20)} is a package name`, () => assert.equal(problemOf(name), undefined));
  }
  for (const name of ["", ".a", "_a", "-a", "A", "a b", "a/b", "ü", "node_modules", "x".repeat(215), "a\n", "{{a}}"]) {
    test(`${JSON.stringify(name.slice(0, 20))} is none, and the suggestion is one`, () => {
      assert.notEqual(problemOf(name), undefined);
      assert.equal(problemOf(suggestionFor(name)), undefined);
    });
  }
  test("nearest prefers the beginning of a name, then few changes", () => {
    const names = ["chat", "broadcast", "fastify", "interface"];
    for (const [typed, expected] of [
      ["b", "broadcast"],
      ["fast", "fastify"],
      ["chta", "chat"],
      ["interfaces", "interface"],
      ["brodcast", "broadcast"],
    ] as const) {
      assert.equal(nearest(typed, names), expected);
    }
  });
});
