import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const readJson = (path: string): unknown => JSON.parse(readFileSync(join(root, path), "utf8"));

interface Manifest {
  readonly name: string;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
  readonly bundleDependencies?: unknown;
  readonly publishConfig?: unknown;
}

const manifest = (name: string): Manifest => readJson(`packages/${name}/package.json`) as Manifest;

/** Returns the imports of a package's sources by name, and how they are imported. */
function importsOf(
  name: string,
): { readonly specifier: string; readonly kind: "static" | "type" | "dynamic"; readonly file: string }[] {
  const folder = join(root, "packages", name, "src");
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => {
      const text = readFileSync(join(folder, file), "utf8").replace(/\/\*.*?\*\/|^\s*\/\/.*$/gms, "");
      return [
        ...[...text.matchAll(/^(?:import|export)( type)?\b[^;]*?\bfrom "([^"]+)"|^import "([^"]+)"/gm)].map(
          ([, type, from, bare]) => ({
            specifier: from ?? bare ?? "",
            kind: type === undefined ? ("static" as const) : ("type" as const),
            file,
          }),
        ),
        ...[...text.matchAll(/\bimport\("([^"]+)"\)/g)].map(([, specifier = ""]) => ({
          specifier,
          kind: "dynamic" as const,
          file,
        })),
      ];
    })
    .filter(({ specifier }) => !specifier.startsWith("."));
}

/** Returns `a/b` of `a/b/c` for a scoped package, otherwise `a`. */
const packageOf = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

describe("@tungstate/protocol", () => {
  test("has no dependency of any kind", () => {
    const { dependencies, optionalDependencies, peerDependencies, bundleDependencies } = manifest("protocol");
    assert.deepEqual(
      [dependencies, optionalDependencies, peerDependencies, bundleDependencies],
      new Array(4).fill(undefined),
    );
  });

  test("imports only its own files, nothing of Node", () => {
    assert.deepEqual(importsOf("protocol"), []);
  });
});

describe("tungstate", () => {
  const {
    dependencies,
    optionalDependencies,
    peerDependencies = {},
    peerDependenciesMeta = {},
  } = manifest("tungstate");

  test("depends on the protocol; other packages are optional peers", () => {
    assert.deepEqual(Object.keys(dependencies ?? {}), ["@tungstate/protocol"]);
    assert.equal(optionalDependencies, undefined);
    for (const name of Object.keys(peerDependencies)) assert.equal(peerDependenciesMeta[name]?.optional, true, name);
  });

  test("imports these only where they are used: inside a function, or in an entry of their own", () => {
    const ofOthers = importsOf("tungstate").filter(
      ({ specifier }) => !specifier.startsWith("node:") && packageOf(specifier) !== "@tungstate/protocol",
    );
    assert.ok(ofOthers.length > 0);
    for (const { specifier, kind, file } of ofOthers) {
      assert.ok(packageOf(specifier) in peerDependencies, `${file} imports ${specifier}`);
      assert.ok(kind !== "static" || file.startsWith("frameworks/"), `${file} imports ${specifier} at once`);
    }
  });
});

describe("the published packages", () => {
  for (const name of ["protocol", "tungstate", "hub", "cli"]) {
    test(`${name}: no script runs at installation, and npm attests the build`, () => {
      const { scripts = {}, publishConfig } = manifest(name);
      for (const hook of ["preinstall", "install", "postinstall", "prepare"]) assert.ok(!(hook in scripts), hook);
      assert.deepEqual(publishConfig, { access: "public", provenance: true });
    });
  }
});

describe("package-lock.json", () => {
  const { packages } = readJson("package-lock.json") as {
    readonly packages: Readonly<
      Record<string, { readonly link?: boolean; readonly integrity?: string; readonly hasInstallScript?: boolean }>
    >;
  };
  const installed = Object.entries(packages).filter(
    ([path, { link }]) => path.includes("node_modules/") && link !== true,
  );

  test("has a checksum of each package", () => {
    assert.ok(installed.length > 100);
    for (const [path, { integrity }] of installed) assert.match(integrity ?? "", /^sha512-/, path);
  });

  test("packages with an install script are listed, and the script is not run", () => {
    const { allowScripts } = readJson("package.json") as { readonly allowScripts: Readonly<Record<string, boolean>> };
    assert.ok(Object.values(allowScripts).every((allowed) => !allowed));
    const withScripts = installed
      .filter(([, { hasInstallScript }]) => hasInstallScript === true)
      .map(([path]) => path.replace(/^.*node_modules\//, ""));
    for (const name of withScripts) assert.ok(name in allowScripts || name === "fsevents", name);
  });
});
