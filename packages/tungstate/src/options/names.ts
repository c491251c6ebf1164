import { protocolError } from "@tungstate/protocol";
import { describe } from "./check.ts";

/**
 * The names of all options of a type, nested ones included. The compiler checks that the table is
 * complete.
 */
export type OptionNames<T> = { readonly [K in keyof T]-?: true | Names };
interface Names {
  readonly [name: string]: true | Names;
}

/**
 * Throws INVALID_ARGUMENT for an unknown option, with the nearest known name: a misspelled limit
 * would be no limit. Throws also for an option that comes from the object's prototype, such as a
 * getter of a class: copies of the object would lose it. Undefined values are ignored. Values are
 * checked elsewhere.
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

/** Returns the Levenshtein distance of two names. */
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
