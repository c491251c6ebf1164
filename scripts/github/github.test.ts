// The files in .github: valid YAML, scripts that exist, pinned actions, no more permissions than
// needed. GitHub reports such faults only after a push.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { parseDocument } from "yaml";
import { filesIn, readPackages, root } from "../workspaces.mjs";

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly name: string;
  readonly "runs-on": string;
  readonly "timeout-minutes"?: number;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly strategy?: { readonly matrix: Readonly<Record<string, readonly unknown[]>> };
  readonly steps: readonly Step[];
}

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

interface Form {
  readonly name: string;
  readonly description: string;
  readonly body: readonly {
    readonly type: string;
    readonly id?: string;
    readonly attributes: Readonly<Record<string, unknown>>;
  }[];
}

interface Updates {
  readonly version: number;
  readonly updates: readonly {
    readonly "package-ecosystem": string;
    readonly directory?: string;
    readonly directories?: readonly string[];
  }[];
}

const read = (path: string) => readFileSync(join(root, path), "utf8");
const { scripts } = JSON.parse(read("package.json")) as { readonly scripts: Readonly<Record<string, string>> };
const documents = [...filesIn(".github")].filter((path) => /\.ya?ml$/.test(path));
const workflowPaths = documents.filter((path) => path.startsWith(".github/workflows/"));

/** Parses a file of YAML, which must have no error, no warning and no duplicate key. */
function parse<T>(path: string): T {
  const document = parseDocument(read(path), { strict: true, uniqueKeys: true });
  assert.deepEqual([...document.errors, ...document.warnings], [], path);
  return document.toJS() as T;
}

/** Returns the faults of a workflow. */
function faultsOf(text: string): string[] {
  const workflow = parseDocument(text).toJS() as Workflow;
  const faults: string[] = [];
  if (workflow.permissions?.["contents"] !== "read" || Object.keys(workflow.permissions).length !== 1) {
    faults.push("the workflow must have no permission but contents: read");
  }
  if ("pull_request_target" in workflow.on) faults.push("pull_request_target runs the code of others with secrets");
  for (const [id, job] of Object.entries(workflow.jobs)) {
    if (job["timeout-minutes"] === undefined) faults.push(`${id} has no timeout-minutes`);
    for (const { uses, run } of job.steps) {
      if (uses !== undefined && !/^[\w.-]+\/[\w./-]+@(?:v\d+(?:\.\d+){0,2}|[0-9a-f]{40})$/.test(uses)) {
        faults.push(`${id}: ${uses} is not pinned to a version`);
      }
      if (run === undefined) continue;
      // text of an event may be chosen by anyone, and would be part of the command
      if (/\$\{\{(?!\s*matrix\.)/.test(run))
        faults.push(`${id}: "${run}" contains an expression that is not of the matrix`);
      for (const [, words = ""] of run.matchAll(/^\s*(npm .*)$/gm)) {
        const [, name = ""] = /^npm (?:run )?([\w:]+)/.exec(words) ?? [];
        if (name !== "ci" && !(name in scripts)) faults.push(`${id}: there is no script ${name}`);
      }
      for (const [, file = ""] of run.matchAll(/\bnode ([\w./-]+)/g)) {
        if (!existsSync(join(root, file))) faults.push(`${id}: there is no ${file}`);
      }
      for (const line of run.trim().split("\n")) {
        if (!/^(?:npm|node) /.test(line)) faults.push(`${id}: "${line}" is no command that works in all shells`);
      }
    }
  }
  return faults;
}

describe("workflows", () => {
  for (const path of workflowPaths) {
    test(`${path} calls what exists, pins actions and has minimal permissions`, () => {
      parse(path);
      assert.deepEqual(faultsOf(read(path)), []);
    });
  }

  test("each fault is found", () => {
    const valid = `
on: { push: {} }
permissions: { contents: read }
jobs:
  a:
    timeout-minutes: 1
    steps:
      - uses: actions/checkout@v6
      - run: npm ci
      - run: npm test
      - run: npm run lint
`;
    assert.deepEqual(faultsOf(valid), []);
    for (const [from, to] of [
      ["contents: read", "contents: write"],
      ["contents: read", "contents: read, issues: write"],
      ["permissions: { contents: read }", ""],
      ["push: {}", "pull_request_target: {}"],
      ["timeout-minutes: 1", "name: a"],
      ["checkout@v6", "checkout@main"],
      ["checkout@v6", "checkout"],
      ["npm run lint", "npm run lnt"],
      ["npm test", "npm tset"],
      ["npm test", "node scripts/nothing.mjs"],
      ["npm test", "npm test -- ${{ github.head_ref }}"],
      ["npm test", "sudo make"],
    ] as const) {
      assert.equal(faultsOf(valid.replace(from, to)).length, 1, to);
    }
  });

  test("CI covers the systems, Node.js versions and runtimes that the documentation names", () => {
    const { jobs } = parse<Workflow>(".github/workflows/ci.yml");
    const versions = [20, 22, 24, 26];
    assert.deepEqual(jobs["test"]?.strategy?.matrix["node"], versions);
    assert.deepEqual(jobs["anywhere"]?.strategy?.matrix["node"], versions);
    const systems = jobs["anywhere"]?.strategy?.matrix["os"]?.map((os) => String(os).split("-")[0]);
    assert.deepEqual(systems, ["macos", "windows"]);
    assert.deepEqual(jobs["runtimes"]?.strategy?.matrix["runtime"], ["bun", "deno"]);
  });

  test("a release is published by one job, which alone may get a token of npm", () => {
    const { on, jobs } = parse<Workflow>(".github/workflows/release.yml");
    assert.deepEqual(on, { push: { tags: ["v*"] } });
    assert.deepEqual(Object.keys(jobs), ["publish"]);
    assert.deepEqual(jobs["publish"]?.permissions, { contents: "read", "id-token": "write" });
    const commands = jobs["publish"]?.steps.flatMap(({ run }) => run ?? []) ?? [];
    assert.deepEqual(commands.slice(-2), ["npm run release -- --dry-run --jsr", "npm run release"]);
    for (const path of workflowPaths) assert.doesNotMatch(read(path), /secrets\.|NPM_TOKEN|NODE_AUTH_TOKEN/);
    for (const job of Object.values(parse<Workflow>(".github/workflows/ci.yml").jobs)) {
      assert.equal(job.permissions, undefined);
    }
  });
});

test("dependency updates name folders that exist", () => {
  const { version, updates } = parse<Updates>(".github/dependabot.yml");
  assert.equal(version, 2);
  assert.deepEqual([...new Set(updates.map((each) => each["package-ecosystem"]))], ["npm", "github-actions"]);
  for (const { directory, directories = [] } of updates) {
    for (const each of directory === undefined ? directories : [directory]) {
      assert.ok(existsSync(join(root, each.replace(/\/\*$/, ""))), each);
    }
  }
});

describe("issue forms", () => {
  const forms = documents.filter((path) => path.startsWith(".github/ISSUE_TEMPLATE/") && !path.endsWith("config.yml"));
  const TYPES = new Set(["checkboxes", "dropdown", "input", "markdown", "textarea"]);

  test("there are forms, and no issue without one", () => {
    assert.ok(forms.length >= 2);
    assert.deepEqual(parse(".github/ISSUE_TEMPLATE/config.yml"), { blank_issues_enabled: false });
  });

  for (const path of forms) {
    test(`${path} has what GitHub requires`, () => {
      const { name, description, body } = parse<Form>(path);
      assert.ok(name.length > 2 && description.length > 2);
      const ids = body.flatMap(({ id }) => id ?? []);
      assert.equal(new Set(ids).size, ids.length);
      assert.ok(body.some(({ type }) => type !== "markdown"));
      for (const { type, id, attributes } of body) {
        assert.ok(TYPES.has(type), type);
        if (type === "markdown") assert.equal(typeof attributes["value"], "string");
        else assert.ok(id !== undefined && typeof attributes["label"] === "string", JSON.stringify(attributes));
      }
    });
  }

  test("the bug form lists all published packages", () => {
    const { body } = parse<Form>(".github/ISSUE_TEMPLATE/bug.yml");
    const options = body.find(({ id }) => id === "package")?.attributes["options"] as string[];
    for (const { manifest } of readPackages()) assert.ok(options.includes(manifest.name), manifest.name);
  });
});

test("scripts of package.json work in sh and in cmd.exe", () => {
  for (const [name, command] of Object.entries(scripts)) {
    assert.doesNotMatch(
      command,
      /'|\$[A-Z{(]|;|\|(?!\|)|(?<!&)&(?!&)/,
      `${name}: quotes, variables, pipes, background`,
    );
    assert.doesNotMatch(
      command,
      /(?:^|&& )(?:[A-Z_]+=|\.\/|rm |cp |mv |mkdir |cat )/,
      `${name}: commands of a Unix shell`,
    );
    assert.doesNotMatch(command.replace(/"[^"]*"/g, ""), /\*/, `${name}: cmd.exe does not expand *`);
  }
});
