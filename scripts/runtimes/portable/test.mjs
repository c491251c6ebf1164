// node:test for tests that run in pages, web workers and workerd: suites, tests and the hooks
// before and after each test.

import "./buffer.mjs";

/** The suites that are being declared, the outermost first. */
let open = [];
let file;
const tests = [];

/** Names the file whose tests are declared next. */
export function startFile(name) {
  file = name;
  open = [];
}

export function describe(name, ...rest) {
  const body = rest.at(-1);
  open.push({ name, before: [], after: [] });
  body();
  open.pop();
}

export function test(name, ...rest) {
  tests.push({ file, suites: [...open], name, options: rest.length > 1 ? rest[0] : {}, body: rest.at(-1) });
}
export { test as it };

export function beforeEach(hook) {
  open.at(-1).before.push(hook);
}

export function afterEach(hook) {
  open.at(-1).after.push(hook);
}

/** Runs all tests that were declared, and returns the result of each. */
export async function runAll() {
  const results = [];
  for (const { file: from, suites, name, options, body } of tests) {
    const title = [...suites.map((suite) => suite.name), name].join(" > ");
    if (options.skip) {
      results.push({ file: from, name: title, result: "skipped" });
      continue;
    }
    const ends = suites.flatMap(({ after }) => after);
    try {
      for (const { before } of suites) for (const hook of before) await hook();
      await body({ after: (end) => ends.push(end) });
      for (const end of ends) await end();
      results.push({ file: from, name: title, result: "passed" });
    } catch (error) {
      results.push({ file: from, name: title, result: "failed", why: String(error?.stack ?? error) });
    }
  }
  return results;
}
