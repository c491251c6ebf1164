// The short form of `npm run test:starter`: the files of each template are complete, compile against
// the sources, and name what exists.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import process from "node:process";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createProject } from "../src/create.ts";
import { TEMPLATES } from "../src/templates.ts";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

const manifestIn = (folder: string) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
const own = manifestIn(PACKAGE);
const workspace = manifestIn(ROOT);

const temporary = mkdtempSync(join(tmpdir(), "tungstate-templates-"));
after(() => rmSync(temporary, { recursive: true }));

test("each folder of templates is in the list", () => {
  assert.deepEqual(readdirSync(join(PACKAGE, "templates")).toSorted(), TEMPLATES.map(({ name }) => name).toSorted());
});

describe("templates", { concurrency: 2 }, () => {
  for (const template of TEMPLATES) {
    test(`${template.name} compiles`, async () => {
      const project = join(PACKAGE, "templates", template.name);
      await promisify(execFile)(process.execPath, [TSC, "-p", project]).catch((error: { stdout: string }) => {
        assert.fail(error.stdout);
      });
    });

    test(`${template.name} becomes a complete project`, async () => {
      const folder = join(temporary, `my-${template.name}`);
      const files = await createProject({ folder, template });
      for (const file of [".gitignore", "README.md", "package.json", "tsconfig.json"]) {
        assert.ok(files.includes(file), `${file} is missing`);
      }
      assert.deepEqual(
        readdirSync(folder, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) =>
            join(entry.parentPath, entry.name)
              .slice(folder.length + 1)
              .replaceAll(sep, "/"),
          )
          .toSorted(),
        files.toSorted(),
      );
      const texts = new Map(files.map((file) => [file, readFileSync(join(folder, file), "utf8")]));
      for (const [file, text] of texts) assert.doesNotMatch(text, /\{\{/, `${file} has a placeholder`);

      const manifest = manifestIn(folder);
      assert.equal(manifest.name, `my-${template.name}`);
      for (const name of ["start", "dev", "typecheck"]) assert.ok(manifest.scripts?.[name] !== undefined, name);
      for (const [, file = ""] of Object.values(manifest.scripts ?? {})
        .join(" ")
        .matchAll(/\b(src\/[\w.-]+)/g)) {
        assert.ok(texts.has(file), `a script runs ${file}, which does not exist`);
      }

      // what the sources import is what the manifest requires, and the ranges are those tested here
      const required = { ...manifest.dependencies, ...manifest.devDependencies };
      const imported = new Set(
        [...texts.values()].flatMap((text) =>
          [...text.matchAll(/^import .* from "((?:@[\w-]+\/)?[a-z][\w-]*)[\w/-]*";$/gm)].map(([, name = ""]) => name),
        ),
      );
      assert.ok(imported.has("tungstate"));
      const unused = new Set(["@types/node", "tsx", "typescript"]);
      assert.deepEqual(
        [...imported].toSorted(),
        Object.keys(required)
          .filter((name) => !unused.has(name))
          .toSorted(),
      );
      const tested: Readonly<Record<string, string>> = { ...workspace.devDependencies, ...own.devDependencies };
      for (const [name, range] of Object.entries(required)) {
        const expected = /^(?:@tungstate\/|tungstate$)/.test(name) ? `^${own.version}` : tested[name];
        assert.equal(range, expected, name);
      }

      const readme = texts.get("README.md") ?? "";
      for (const [, script = ""] of readme.matchAll(/npm run ([\w:]+)/g)) {
        assert.ok(manifest.scripts?.[script] !== undefined, `README.md: there is no script ${script}`);
      }
      for (const [, file = ""] of readme.matchAll(/`((?:src|public)\/[\w.-]*)`/g)) {
        assert.ok(existsSync(join(folder, file)), `README.md: there is no ${file}`);
      }
    });

    test(`${template.name} listens on loopback and rejects other hosts there`, () => {
      const folder = join(PACKAGE, "templates", template.name, "src");
      const servers = readdirSync(folder).filter((name) => name === "server.ts");
      assert.equal(servers.length, template.name === "interface" ? 0 : 1);
      for (const name of servers) {
        const text = readFileSync(join(folder, name), "utf8");
        assert.match(text, /process\.env\["HOST"\] \?\? "127\.0\.0\.1"/);
        assert.match(text, /allowedHosts: host === "127\.0\.0\.1" \? \["localhost", "127\.0\.0\.1"\]/);
        assert.doesNotMatch(text, /\borigin:/);
      }
    });
  }
});
