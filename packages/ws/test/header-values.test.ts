// extension and subprotocol: the values of header fields.
import assert from "node:assert/strict";
import { onEach, test } from "./support/implementations.ts";

onEach("extension and subprotocol", (ws) => {
  test("extension.parse returns the offers of each extension", () => {
    const parsed = ws.extension.parse('foo; a; b=1; c="x\\y"; a, bar, foo;d=2');
    assert.deepEqual(JSON.parse(JSON.stringify(parsed)), {
      foo: [{ a: [true, true], b: ["1"], c: ["xy"] }, { d: ["2"] }],
      bar: [{}],
    });
  });

  for (const [header, text] of [
    ["", "Unexpected end of input"],
    ["foo,", "Unexpected end of input"],
    ["foo;", "Unexpected end of input"],
    ["foo;bar=", "Unexpected end of input"],
    ['foo;bar="baz', "Unexpected end of input"],
    ["foo;;", "Unexpected character at index 4"],
    ["foo,,bar", "Unexpected character at index 4"],
    ["foo bar", "Unexpected character at index 4"],
    ["f\u00fb", "Unexpected character at index 1"],
  ] as const) {
    test(`extension.parse throws a SyntaxError for ${JSON.stringify(header)}`, () => {
      assert.throws(() => ws.extension.parse(header), { name: "SyntaxError", message: text });
    });
  }

  test("extension.format is the opposite", () => {
    assert.equal(ws.extension.format({ foo: { a: true, b: 1 } }), "foo; a; b=1");
    assert.equal(ws.extension.format({ foo: [{ a: [true, "2"] }, {}], bar: {} }), "foo; a; a=2, foo, bar");
  });

  test("names of Object.prototype are names like others", () => {
    const parsed = ws.extension.parse("hasOwnProperty; __proto__=x, __proto__");
    assert.deepEqual(Object.keys(parsed).toSorted(), ["__proto__", "hasOwnProperty"]);
  });

  test("subprotocol.parse returns a Set in order", () => {
    const parsed = ws.subprotocol.parse("foo , bar\t,baz");
    assert.ok(parsed instanceof Set);
    assert.deepEqual([...parsed], ["foo", "bar", "baz"]);
  });

  for (const [header, text] of [
    ["", "Unexpected end of input"],
    ["foo,", "Unexpected end of input"],
    ["foo,,bar", "Unexpected character at index 4"],
    ["foo bar", "Unexpected character at index 4"],
    ["foo;", "Unexpected character at index 3"],
    ["foo,foo", 'The "foo" subprotocol is duplicated'],
    ["foo,bar,foo,", 'The "foo" subprotocol is duplicated'],
  ] as const) {
    test(`subprotocol.parse throws a SyntaxError for ${JSON.stringify(header)}`, () => {
      assert.throws(() => ws.subprotocol.parse(header), { name: "SyntaxError", message: text });
    });
  }
});
