// What must hold before packages are published. Each function returns problems as lines of text.

const EXACT_VERSION = /^\d+\.\d+\.\d+(?:-[\w.]+)?$/;
const DEPENDENCIES = ["dependencies", "devDependencies", "peerDependencies", "optionalDependencies"];

/** Files that no tarball may contain. */
const FORBIDDEN = [
  { pattern: /(?:^|\/)node_modules\//, what: "installed packages" },
  { pattern: /(?:^|\/)(?:test|coverage)\//, what: "tests" },
  { pattern: /\.(?:test|spec)\.[cm]?[jt]s$/, what: "tests" },
  { pattern: /\.tsbuildinfo$/, what: "state of the compiler" },
  { pattern: /(?:^|\/)\.(?:env|npmrc|git)|\.(?:pem|key|p12|log|tgz)$/, what: "private or temporary files" },
];

/** Returns the packages so that each one comes after those it depends on. */
export function inOrder(packages) {
  const byName = new Map(packages.map((each) => [each.manifest.name, each]));
  const ordered = new Set();
  const visit = (each, path) => {
    if (ordered.has(each)) return;
    const { name, dependencies = {} } = each.manifest;
    if (path.includes(name)) throw new Error(`packages depend on each other: ${[...path, name].join(" -> ")}`);
    for (const other of Object.keys(dependencies).toSorted()) {
      if (byName.has(other)) visit(byName.get(other), [...path, name]);
    }
    ordered.add(each);
  };
  for (const each of packages.toSorted((a, b) => (a.manifest.name < b.manifest.name ? -1 : 1))) visit(each, []);
  return [...ordered];
}

/** All packages have one version, and require exactly this version of each other. */
export function versionProblems(packages) {
  const problems = [];
  const version = packages[0]?.manifest.version ?? "";
  const names = new Set(packages.map(({ manifest }) => manifest.name));
  if (!EXACT_VERSION.test(version)) problems.push(`the version must be like 1.2.3 or 1.2.3-rc.1, got "${version}"`);
  for (const { manifest, jsr } of packages) {
    if (manifest.version !== version) problems.push(`${manifest.name} is ${manifest.version}, expected ${version}`);
    for (const field of DEPENDENCIES) {
      for (const [name, range] of Object.entries(manifest[field] ?? {})) {
        if (names.has(name) && range !== version) {
          problems.push(`${manifest.name} requires ${name} ${range} in ${field}, expected exactly ${version}`);
        }
      }
    }
    if (jsr !== undefined && (jsr.version !== version || jsr.name !== manifest.name)) {
      problems.push(`jsr.json of ${manifest.name} is of ${jsr.name} ${jsr.version}, expected ${version}`);
    }
  }
  return problems;
}

/** Returns the URL of a repository as npm writes it, for its address as people write it. */
export function repositoryOf(address, directory) {
  return { type: "git", url: `git+${address.replace(/(?:\.git)?\/?$/, "")}.git`, directory };
}

/** The fields of a manifest that npm and its provenance statements need. */
export function manifestProblems({ manifest, directory }, owner) {
  const { name } = manifest;
  const problems = [];
  const expect = (field, actual, expected) => {
    if (JSON.stringify(actual) === JSON.stringify(expected)) return;
    problems.push(`${name}: ${field} is ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`);
  };
  if (name.startsWith("@")) expect("the scope", name.split("/")[0], owner.scope);
  expect("license", manifest.license, "MIT");
  expect("publishConfig", manifest.publishConfig, { access: "public", provenance: true });
  for (const field of ["description", "engines", "files"]) {
    if (manifest[field] === undefined) problems.push(`${name}: ${field} is missing`);
  }
  if (owner.repository !== "") {
    expect("repository", manifest.repository, repositoryOf(owner.repository, directory));
  }
  return problems;
}

/** The changelog has an entry for the version. */
export function changelogProblems(changelog, version) {
  const section = sectionOf(changelog, version);
  if (section === undefined) return [`CHANGELOG.md has no section "## ${version}"`];
  return /^- /m.test(section) ? [] : [`CHANGELOG.md: the section of ${version} has no entry`];
}

function sectionOf(changelog, version) {
  const sections = changelog.split(/^(?=## )/m);
  return sections.find((section) => /^## (\S+)/.exec(section)?.[1] === version);
}

/** What a tarball contains: all that its manifest names, and nothing that is private. */
export function contentProblems(manifest, paths) {
  const problems = [];
  const targets = [manifest.main, manifest.types, ...targetsOf(manifest.bin), ...targetsOf(manifest.exports)];
  const needed = ["package.json", "README.md", "LICENSE", ...targets.filter((target) => target !== undefined)];
  for (const target of new Set(needed.map((path) => path.replace(/^\.\//, "")))) {
    if (!paths.includes(target)) problems.push(`${manifest.name}: the tarball lacks ${target}`);
  }
  for (const path of paths) {
    const reason = FORBIDDEN.find(({ pattern }) => pattern.test(path));
    if (reason !== undefined) problems.push(`${manifest.name}: the tarball contains ${path} (${reason.what})`);
  }
  return problems;
}

/** Returns all paths in `bin` or `exports`, whose conditions may be nested. */
function targetsOf(value) {
  if (value === undefined || value === null) return [];
  return typeof value === "string" ? [value] : Object.values(value).flatMap(targetsOf);
}

/** A tarball is not larger than its budget, in bytes of the tarball, bytes of its files, and files. */
export function budgetProblems(name, { size, unpackedSize, files }, budgets) {
  const budget = budgets[name];
  if (budget === undefined) return [`${name} has no budget in scripts/release/budgets.json`];
  const actual = { size, unpackedSize, files };
  return Object.entries(actual)
    .filter(([field, value]) => !(value <= budget[field]))
    .map(([field, value]) => `${name}: ${field} of the tarball is ${value}, its budget is ${budget[field]}`);
}

/** What only the owner of the repository can fill in, and has not. */
export function ownerGaps(owner) {
  return [
    ...(/^https:\/\/[^\s/]+\/[^\s/]+\/[^\s/]+$/.test(owner.repository)
      ? []
      : ['owner.json: "repository" must be the address of the repository, like https://github.com/OWNER/NAME']),
    ...(/^@[a-z0-9][a-z0-9-]*$/.test(owner.scope)
      ? []
      : ['owner.json: "scope" must be the npm scope of the packages, like @tungstate']),
    ...(owner.contact === ""
      ? ['owner.json: "contact" must be the address for reports about conduct and security']
      : []),
  ];
}

/** What is missing in the repository: a commit without changes, with the tag of the version. */
export function gitGaps({ changes, tags }, changelog, version) {
  const heading = sectionOf(changelog, version)?.split("\n", 1)[0] ?? "";
  return [
    ...(changes === 0 ? [] : [`${changes} files are not committed`]),
    ...(tags.includes(`v${version}`) ? [] : [`the commit has no tag v${version}`]),
    ...(/not yet released/.test(heading) ? [`CHANGELOG.md: "${heading}" must have the date of the release`] : []),
  ];
}

/** What is missing in the environment: npm publishes with provenance only from a CI with OIDC. */
export function environmentGaps(env, npmVersion) {
  const [major = 0, minor = 0, patch = 0] = npmVersion.split(".").map((part) => Number.parseInt(part, 10));
  const isOld = major < 11 || (major === 11 && (minor < 5 || (minor === 5 && patch < 1)));
  if (isOld) return [`trusted publishing requires npm 11.5.1 or newer, this is ${npmVersion}`];
  if (env.ACTIONS_ID_TOKEN_REQUEST_URL !== undefined) return [];
  return [
    "trusted publishing is not set up here: run the workflow .github/workflows/release.yml, with " +
      "`permissions: id-token: write`, after you have added it as a trusted publisher of each package on npmjs.com",
  ];
}

/** Returns the dist-tag of a version: `latest`, or the name of a prerelease. */
export function distTagOf(version) {
  return /-([a-z]+)/i.exec(version)?.[1] ?? (version.includes("-") ? "next" : "latest");
}
