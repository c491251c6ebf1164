// The checks of `npm run release -- --dry-run`, and what they say of this repository. The command
// itself packs all packages; it is not part of the tests.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, test } from "node:test";
import { type Manifest, readPackages, root } from "../workspaces.mjs";
import {
  budgetProblems,
  changelogProblems,
  contentProblems,
  distTagOf,
  environmentGaps,
  gitGaps,
  inOrder,
  manifestProblems,
  type Owner,
  ownerGaps,
  repositoryOf,
  type TarballSize,
  versionProblems,
} from "./checks.mjs";

const readJson = (path: string): unknown => JSON.parse(readFileSync(join(root, path), "utf8"));
const OWNER: Owner = { repository: "https://github.com/owner/name", scope: "@x", contact: "a@example.com" };

const manifest = (fields: Partial<Manifest> = {}): Manifest => ({
  ...{ name: "@x/a", version: "1.2.3", license: "MIT", description: "an example", files: ["dist"] },
  ...{ publishConfig: { access: "public", provenance: true }, engines: { node: ">=20" } },
  ...fields,
});
const packageOf = (fields: Partial<Manifest>) => ({ manifest: manifest(fields) });

describe("this repository", () => {
  const owner = readJson("owner.json") as Owner;
  const packages = inOrder(readPackages().filter((each) => each.manifest.private !== true));

  test("the packages are published after those they depend on", () => {
    const names = packages.map((each) => each.manifest.name);
    assert.deepEqual(names.slice(0, 2), ["@tungstate/protocol", "tungstate"]);
    assert.ok(names.indexOf("@tungstate/hub") < names.indexOf("@tungstate/cli"));
    assert.ok(names.includes("create-tungstate"));
  });

  test("versions, manifests and the changelog are complete", () => {
    const complete = packages.map((each) => {
      const jsr = `packages/${basename(each.folder)}/jsr.json`;
      return {
        manifest: each.manifest,
        directory: `packages/${basename(each.folder)}`,
        jsr: existsSync(join(root, jsr)) ? (readJson(jsr) as { name: string; version: string }) : undefined,
      };
    });
    assert.ok(complete.some(({ jsr }) => jsr !== undefined));
    assert.deepEqual(versionProblems(complete), []);
    for (const each of complete) assert.deepEqual(manifestProblems(each, owner), []);
    const changelog = readFileSync(join(root, "CHANGELOG.md"), "utf8");
    assert.deepEqual(changelogProblems(changelog, packages[0]?.manifest.version ?? ""), []);
  });

  test("every package has a size budget, and no other", () => {
    const budgets = readJson("scripts/release/budgets.json") as Record<string, TarballSize>;
    assert.deepEqual(Object.keys(budgets).toSorted(), packages.map((each) => each.manifest.name).toSorted());
    for (const { size, unpackedSize, files } of Object.values(budgets))
      assert.ok(size > 0 && unpackedSize > size && files > 0);
  });
});

describe("inOrder", () => {
  test("sorts by dependencies, then by name", () => {
    const c = packageOf({ name: "c" });
    const b = packageOf({ name: "b", dependencies: { c: "1.2.3", other: "^1.0.0" } });
    const a = packageOf({ name: "a", dependencies: { b: "1.2.3" } });
    assert.deepEqual(
      inOrder([a, b, c, packageOf({ name: "0" })]).map((each) => each.manifest.name),
      ["0", "c", "b", "a"],
    );
  });

  test("rejects a cycle", () => {
    const packages = [
      packageOf({ name: "a", dependencies: { b: "" } }),
      packageOf({ name: "b", dependencies: { a: "" } }),
    ];
    assert.throws(() => inOrder(packages), /a -> b -> a/);
  });
});

describe("checks", () => {
  test("versions are equal, and dependencies between packages exact", () => {
    const first = packageOf({ name: "a" });
    for (const version of ["1.2.3", "1.2.3-rc.1"]) {
      assert.deepEqual(versionProblems([packageOf({ version }), packageOf({ name: "b", version })]), []);
    }
    assert.equal(versionProblems([packageOf({ version: "1.2" })]).length, 1);
    assert.equal(versionProblems([first, packageOf({ name: "b", version: "1.2.4" })]).length, 1);
    for (const field of ["dependencies", "devDependencies", "peerDependencies"]) {
      for (const range of ["^1.2.3", "*", "1.2.2"]) {
        assert.equal(
          versionProblems([first, packageOf({ name: "b", [field]: { a: range } })]).length,
          1,
          field + range,
        );
      }
      assert.deepEqual(
        versionProblems([first, packageOf({ name: "b", [field]: { a: "1.2.3", other: "^1.0.0" } })]),
        [],
      );
    }
    for (const jsr of [
      { name: "a", version: "1.2.2" },
      { name: "b", version: "1.2.3" },
    ]) {
      assert.equal(versionProblems([{ ...first, jsr }]).length, 1);
    }
  });

  test("manifests have the fields of a provenance statement", () => {
    const repository = repositoryOf(OWNER.repository, "packages/a");
    assert.equal(repository.url, "git+https://github.com/owner/name.git");
    assert.deepEqual(repositoryOf(`${OWNER.repository}.git`, "packages/a"), repository);
    const problems = (fields: Partial<Manifest>, owner = OWNER) =>
      manifestProblems({ manifest: manifest({ repository, ...fields }), directory: "packages/a" }, owner).length;
    assert.equal(problems({}), 0);
    assert.equal(problems({ name: "without-scope" }), 0);
    assert.equal(problems({ name: "@y/a" }), 1);
    assert.equal(problems({ license: "ISC" }), 1);
    assert.equal(problems({ publishConfig: { access: "public" } }), 1);
    assert.equal(problems({ repository: undefined }), 1);
    assert.equal(problems({ repository: { ...repository, directory: "packages/b" } }), 1);
    assert.equal(problems({ repository: undefined }, { ...OWNER, repository: "" }), 0);
    const { description: _description, ...without } = manifest({ repository });
    assert.equal(manifestProblems({ manifest: without, directory: "packages/a" }, OWNER).length, 1);
  });

  test("the changelog has an entry for the version", () => {
    const changelog = "# Changelog\n\n## 1.3.0\n\nNothing.\n\n## 1.2.3 (2026-12-01)\n\n- One.\n";
    assert.deepEqual(changelogProblems(changelog, "1.2.3"), []);
    assert.match(changelogProblems(changelog, "1.2.4").join(), /has no section "## 1\.2\.4"/);
    assert.match(changelogProblems(changelog, "1.2").join(), /no section/);
    assert.match(changelogProblems(changelog, "1.3.0").join(), /has no entry/);
  });

  test("a tarball has what its manifest names, and nothing private", () => {
    const one = manifest({
      bin: { a: "bin/a.js" },
      exports: { ".": { import: { types: "./dist/a.d.ts", default: "./dist/a.js" } } },
    });
    const paths = ["package.json", "README.md", "LICENSE", "bin/a.js", "dist/a.d.ts", "dist/a.js"];
    assert.deepEqual(contentProblems(one, paths), []);
    for (const path of paths) {
      assert.deepEqual(
        contentProblems(
          one,
          paths.filter((each) => each !== path),
        ),
        [`@x/a: the tarball lacks ${path}`],
      );
    }
    for (const path of [
      ".env",
      "dist/.tsbuildinfo",
      "key.pem",
      "test/a.ts",
      "src/a.test.ts",
      "templates/x/node_modules/y",
    ]) {
      assert.equal(contentProblems(one, [...paths, path]).length, 1, path);
    }
  });

  test("a tarball may have its budget, and not one byte more", () => {
    const budget = { size: 100, unpackedSize: 200, files: 3 };
    const budgets = { a: budget };
    assert.deepEqual(budgetProblems("a", budget, budgets), []);
    for (const field of ["size", "unpackedSize", "files"] as const) {
      assert.equal(budgetProblems("a", { ...budget, [field]: budget[field] + 1 }, budgets).length, 1);
      assert.deepEqual(budgetProblems("a", { ...budget, [field]: budget[field] - 1 }, budgets), []);
    }
    assert.match(budgetProblems("b", budget, budgets).join(), /has no budget/);
  });

  test("what only the owner can fill in is named", () => {
    assert.deepEqual(ownerGaps(OWNER), []);
    for (const [field, wrong] of [
      ["repository", ""],
      ["repository", "github.com/owner/name"],
      ["repository", "https://github.com/owner"],
      ["scope", "tungstate"],
      ["contact", ""],
    ] as const) {
      assert.match(
        ownerGaps({ ...OWNER, [field]: wrong }).join("\n"),
        new RegExp(`^owner\\.json: "${field}" must be .*$`),
      );
    }
  });

  test("a release is a commit without changes, with a tag and a date", () => {
    const dated = "## 1.2.3 (2026-12-01)\n\n- One.\n";
    const git = { changes: 0, tags: ["v1.2.3"] };
    assert.deepEqual(gitGaps(git, dated, "1.2.3"), []);
    assert.deepEqual(gitGaps({ ...git, changes: 2 }, dated, "1.2.3"), ["2 files are not committed"]);
    assert.deepEqual(gitGaps({ ...git, tags: ["v1.2.2"] }, dated, "1.2.3"), ["the commit has no tag v1.2.3"]);
    assert.equal(gitGaps(git, "## 1.2.3 (not yet released)\n", "1.2.3").length, 1);
  });

  test("publishing needs the tokens of a CI", () => {
    const inCi = { ACTIONS_ID_TOKEN_REQUEST_URL: "https://example.com" };
    for (const npm of ["11.5.1", "11.6.0", "12.0.0"]) assert.deepEqual(environmentGaps(inCi, npm), []);
    for (const npm of ["11.5.0", "11.4.9", "10.9.0"])
      assert.match(environmentGaps(inCi, npm).join(), /npm 11\.5\.1 or newer/);
    assert.match(
      environmentGaps({}, "11.6.0").join(),
      /trusted publishing is not set up here: run the workflow .*release\.yml/,
    );
  });

  test("a prerelease does not become latest", () => {
    for (const [version, tag] of [
      ["1.2.3", "latest"],
      ["1.2.3-rc.1", "rc"],
      ["1.2.3-beta.0", "beta"],
      ["1.2.3-0", "next"],
    ] as const) {
      assert.equal(distTagOf(version), tag);
    }
  });
});
