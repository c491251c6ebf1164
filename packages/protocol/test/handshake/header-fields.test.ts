import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HeaderFields, hasToken, isFieldValue, isToken, parseTokenList } from "../../src/handshake/header-fields.ts";

const TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ALL = Array.from({ length: 0x180 }, (_, code) => String.fromCharCode(code));

describe("grammar", () => {
  it("a token has the characters of RFC 9110 §5.6.2 and no others", () => {
    assert.equal(ALL.filter(isToken).sort().join(""), [...TOKEN_CHARACTERS].sort().join(""));
    assert.ok(isToken(TOKEN_CHARACTERS));
    assert.ok(!isToken(""));
    for (const other of [" ", "\r", "/", "\u0141"]) assert.ok(!isToken(`a${other}`) && !isToken(`${other}a`));
  });

  it("a field value has no control character but tab, and nothing above U+00FF", () => {
    const fine = ALL.filter(isFieldValue).map((character) => character.charCodeAt(0));
    const expected = Array.from({ length: 256 }, (_, code) => code).filter(
      (code) => code === 9 || (code >= 32 && code !== 127),
    );
    assert.deepEqual(fine, expected);
    assert.ok(isFieldValue(""));
    assert.ok(!isFieldValue("a\n"));
  });
});

describe("token lists", () => {
  const table: readonly (readonly [string, readonly string[] | undefined])[] = [
    ["Upgrade", ["Upgrade"]],
    ["keep-alive, Upgrade", ["keep-alive", "Upgrade"]],
    ["a,b\t ,\t c", ["a", "b", "c"]],
    [" , ,a,,b, ", ["a", "b"]],
    ["", []],
    [" \t", []],
    [" ,\t,", []],
    [", a b", undefined],
    ["a b", undefined],
    ["a, b/1", undefined],
    ['"a"', undefined],
    ["a;b", undefined],
    ["a\u00e4", undefined],
  ];
  for (const [value, list] of table) {
    it(JSON.stringify(value), () => assert.deepEqual(parseTokenList(value), list));
  }

  it("are searched case-insensitively, element by element", () => {
    for (const value of ["Upgrade", "UPGRADE", "keep-alive, Upgrade", "x/1,\tupgrade ,", "foo bar, upgrade"]) {
      assert.ok(hasToken(value, "upgrade"), value);
    }
    for (const value of [
      undefined,
      "",
      "upgraded",
      "up grade",
      "upgrade/1",
      "upgrade;q=1",
      '"upgrade"',
      "keep-alive upgrade",
    ]) {
      assert.ok(!hasToken(value, "upgrade"), value);
    }
    assert.ok(!hasToken("\u212a", "k"), "the Kelvin sign's lower case is k");
  });
});

describe("HeaderFields", () => {
  it("are immutable as a class", () => {
    const values = new HeaderFields([["a", "1"]]).getAll("cookie") as string[];
    assert.throws(() => values.push("evil"), TypeError);
    assert.equal(new HeaderFields([]).has("cookie"), false);
  });

  const fields = new HeaderFields([
    ["Host", "example.com"],
    ["X-List", "a"],
    ["x-list", "b"],
    ["X-LIST", ""],
  ]);

  it("are found case-insensitively", () => {
    assert.equal(fields.get("hOST"), "example.com");
    assert.ok(fields.has("HOST"));
    assert.ok(!fields.has("Origin"));
    assert.equal(fields.get("Origin"), undefined);
  });

  it("that are repeated are joined, or returned one by one", () => {
    assert.equal(fields.get("X-List"), "a, b, ");
    assert.deepEqual(fields.getAll("x-LIST"), ["a", "b", ""]);
    assert.deepEqual(fields.getAll("Origin"), []);
  });

  it("are found the same if there are many", () => {
    for (const others of [28, 29, 60]) {
      const more = Array.from({ length: others }, (_, at): [string, string] => [`X-${at}`, String(at)]);
      const many = new HeaderFields([...fields, ...more]);
      assert.equal(many.size, others + 4);
      for (let asked = 0; asked < 2; asked++) {
        assert.equal(many.get("hOST"), "example.com");
        assert.equal(many.get("X-List"), "a, b, ");
        assert.deepEqual(many.getAll("x-LIST"), ["a", "b", ""]);
        assert.equal(many.get(`x-${others - 1}`), String(others - 1));
        assert.ok(!many.has("Origin"));
        assert.equal(many.get("__proto__"), undefined);
        assert.throws(() => (many.getAll("Origin") as string[]).push("evil"), TypeError);
      }
    }
  });

  it("are iterated in order", () => {
    assert.equal(fields.size, 4);
    assert.deepEqual(
      [...fields].map(([name, value]) => `${name}=${value}`),
      ["Host=example.com", "X-List=a", "x-list=b", "X-LIST="],
    );
    assert.deepEqual([...new HeaderFields()], []);
  });

  it("may have any name, including inherited properties", () => {
    const names = ["__proto__", "constructor", "toString", "hasOwnProperty"];
    for (const name of names) {
      assert.equal(fields.get(name), undefined);
      assert.ok(!fields.has(name));
    }
    const odd = new HeaderFields(names.map((name) => [name, "x"]));
    for (const name of names) assert.deepEqual(odd.getAll(name), ["x"]);
    assert.equal(({} as Record<string, unknown>)["x"], undefined);
  });
});
