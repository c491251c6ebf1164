import { protocolError } from "@tungstate/protocol";
import { describe } from "./check.ts";

/** The names of all options of a kind, and those of options in options. The compiler sees to it that none is missing, and none too many. */
export type OptionNames<T> = { readonly [K in keyof T]-?: true | Names };
interface Names {
  readonly [name: string]: true | Names;
}

/**
 * Throws INVALID_ARGUMENT for a name that is no option's, with the one that may have been meant: a misspelled limit is no limit. And for an
 * option that the object has from its prototype, as with the getters and methods of a class: copies of it would not have that. What is undefined is
 * not there. What the values are is looked at elsewhere.
 */
export function checkNames<T>(given: T, names: OptionNames<T>): void {
  if (typeof given !== "object" || given === null) {
    throw protocolError("INVALID_ARGUMENT", `options are an object, got ${describe(given)}`);
  }
  check(given, names, "");
}

function check(given: unknown, names: Names, prefix: string): void {
  if (typeof given !== "object" || given === null) return;
  for (const [name, value] of Object.entries(given) as [string, unknown][]) {
    if (value === undefined) continue;
    const known = Object.hasOwn(names, name) ? names[name] : undefined;
    if (known === undefined) {
      throw protocolError(
        "INVALID_ARGUMENT",
        `there is no option ${prefix}${name}: ${expected(name, Object.keys(names))}`,
      );
    }
    if (known !== true) check(value, known, `${prefix}${name}.`);
  }
  const prototype: unknown = Object.getPrototypeOf(given);
  if (prototype === Object.prototype || prototype === null) return;
  for (const name of Object.keys(names)) {
    if (Object.hasOwn(given, name) || Reflect.get(given, name) === undefined) continue;
    throw protocolError(
      "INVALID_ARGUMENT",
      `options are properties of the object itself, got ${prefix}${name} from its prototype`,
    );
  }
}

const MOST_EDITS = 2;

function expected(name: string, names: readonly string[]): string {
  const near = names.find((each) => edits(name.toLowerCase(), each.toLowerCase()) <= MOST_EDITS);
  return near === undefined ? `there are ${names.toSorted().join(", ")}` : `is it ${near}?`;
}

/** How many characters have to be put in, taken out or replaced to make one of the other (Levenshtein's distance). */
function edits(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1];
      next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (same ? 0 : 1)));
    }
    row = next;
  }
  return row[other.length];
}
