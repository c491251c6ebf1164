// Tests that fail in a runtime, each with the reason. The tests run all the same.

/** `file`: how its path ends. `name`: a part of the test's name; without it, every test of the file. */
const KNOWN = [];

/** Returns why a test fails in this runtime; undefined if it should pass. */
export function reasonFor(runtime, file, test) {
  return KNOWN.find(
    ({ runtimes, file: path, name }) =>
      runtimes.includes(runtime) && file.endsWith(path) && (name === undefined || test.includes(name)),
  )?.reason;
}
