// node:assert/strict for tests that run in pages, web workers and workerd.

class AssertionError extends Error {
  name = "AssertionError";
}

function fail(expected, message) {
  if (message instanceof Error) throw message;
  throw new AssertionError(message === undefined ? expected : `${message}: ${expected}`);
}

function shown(value) {
  if (typeof value === "string") return JSON.stringify(value);
  if (ArrayBuffer.isView(value))
    return `${value.constructor.name}(${value.byteLength}) [${[...value].slice(0, 20).join()}]`;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

function sameDeep(a, b) {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (ArrayBuffer.isView(a) || Array.isArray(a)) {
    return a.length === b.length && Array.prototype.every.call(a, (each, index) => sameDeep(each, b[index]));
  }
  if (a instanceof Map)
    return a.size === b.size && [...a].every(([key, each]) => b.has(key) && sameDeep(each, b.get(key)));
  if (a instanceof Set) return a.size === b.size && [...a].every((each) => b.has(each));
  if (a instanceof Error && (a.message !== b.message || a.name !== b.name)) return false;
  const [names, others] = [Object.keys(a), Object.keys(b)];
  return names.length === others.length && names.every((name) => Object.hasOwn(b, name) && sameDeep(a[name], b[name]));
}

function isExpected(error, expected) {
  if (expected === undefined || typeof expected === "string") return true;
  if (expected instanceof RegExp) return expected.test(String(error));
  if (typeof expected === "function") {
    if (expected.prototype !== undefined && error instanceof expected) return true;
    return !Error.isPrototypeOf(expected) && expected !== Error && expected(error) === true;
  }
  return Object.entries(expected).every(([name, value]) =>
    value instanceof RegExp ? value.test(error[name]) : sameDeep(error[name], value),
  );
}

function ok(value, message) {
  if (!value) fail(`expected a true value, got ${shown(value)}`, message);
}

export const assert = Object.assign((value, message) => ok(value, message), {
  ok,
  equal(actual, expected, message) {
    if (!Object.is(actual, expected)) fail(`expected ${shown(expected)}, got ${shown(actual)}`, message);
  },
  notEqual(actual, other, message) {
    if (Object.is(actual, other)) fail(`expected another value than ${shown(other)}`, message);
  },
  deepEqual(actual, expected, message) {
    if (!sameDeep(actual, expected)) fail(`expected ${shown(expected)}, got ${shown(actual)}`, message);
  },
  match(text, pattern, message) {
    if (!pattern.test(text)) fail(`expected ${pattern}, got ${shown(text)}`, message);
  },
  throws(run, expected, message) {
    try {
      run();
    } catch (error) {
      if (!isExpected(error, expected)) fail(`expected another error than ${String(error)}`, message);
      return;
    }
    fail("expected an error", message ?? (typeof expected === "string" ? expected : undefined));
  },
  fail: (message) => fail("failed", message),
});
