import assert from "node:assert/strict";
import { test } from "node:test";
import { bareNames, exportedNames } from "./docstrings.mjs";

const DECLARATIONS = `/** A. */
export interface A {
    /** Documented. */
    readonly one: string;
    readonly two?: number;
    three(): void;
}
export declare class B implements A {
    private hidden;
    /** Documented. */
    get both(): string;
    set both(value: string);
    constructor(name: string);
    one: string;
    _read(): void;
}
/** F. */
export declare function f(): void;
export declare const TABLE: {
    readonly row: string;
};
`;

test("names and members without a docstring are found", () => {
  assert.deepEqual(bareNames(DECLARATIONS, ["A", "f"]), ["A.two", "A.three"]);
});

test("the docstring of an interface counts for the class that implements it", () => {
  assert.deepEqual(bareNames(DECLARATIONS, ["B"], new Map([["A", new Set(["one"])]])), ["B"]);
  assert.deepEqual(bareNames(DECLARATIONS, ["B"]), ["B", "B.one"]);
});

test("the rows of a table need none", () => {
  assert.deepEqual(bareNames(DECLARATIONS, ["TABLE"]), ["TABLE"]);
});

test("an entry's own names and those that it passes on are exported", () => {
  const text =
    'export { A, type B } from "./folder/a.ts";\nexport type { C } from "other";\nexport declare const D: 1;\n';
  assert.deepEqual(
    [...exportedNames("/p/dist/index.d.ts", () => text)],
    [
      ["A", "/p/dist/folder/a.d.ts"],
      ["B", "/p/dist/folder/a.d.ts"],
      ["D", "/p/dist/index.d.ts"],
    ],
  );
});
