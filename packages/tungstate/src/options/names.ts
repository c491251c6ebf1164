import { argumentError, invalidOption } from "@tungstate/protocol/internal";
import { describe } from "./describe.ts";
import { foreignOption } from "./foreign.ts";

/**
 * The names of all options of a type, nested ones included. The compiler checks that the table is
 * complete.
 */
export type OptionNames<T> = { readonly [K in keyof T]-?: true | Names };
interface Names {
  readonly [name: string]: true | Names;
}

/**
 * Throws a TypeError with INVALID_ARGUMENT for an unknown option, with the nearest known name: a
 * misspelled limit would be no limit. A well-known option of another library points to ours. Throws
 * also for an option that comes from the object's prototype, such as a getter of a class: copies of
 * the object would lose it. Undefined values are ignored. Values are checked elsewhere. `what`:
 * what the options are of.
 */
export function checkNames<T>(given: T, names: OptionNames<T>, what = ""): void {
  const owner = what === "" ? "options" : `the options of ${what}`;
  if (typeof given !== "object" || given === null) throw invalidOption(owner, "an object", given, describe(given));
  check(given, names, "", what === "" ? "" : ` of ${what}`);
}

function check(given: unknown, names: Names, prefix: string, what: string): void {
  if (typeof given !== "object" || given === null) return;
  for (const [name, value] of Object.entries(given) as [string, unknown][]) {
    if (value === undefined) continue;
    const known = Object.hasOwn(names, name) ? names[name] : undefined;
    if (known === undefined) {
      const hint = foreignOption(prefix + name, names) ?? expected(name, Object.keys(names));
      throw argumentError(TypeError, `unknown option ${prefix}${name}${what}: ${hint}`);
    }
    if (known !== true) check(value, known, `${prefix}${name}.`, what);
  }
  const prototype: unknown = Object.getPrototypeOf(given);
  if (prototype === Object.prototype || prototype === null) return;
  for (const name of Object.keys(names)) {
    if (Object.hasOwn(given, name) || Reflect.get(given, name) === undefined) continue;
    throw argumentError(
      TypeError,
      `options must be properties of the object itself, got ${prefix}${name} from its prototype`,
    );
  }
}

const MOST_EDITS = 2;

function expected(name: string, names: readonly string[]): string {
  let nearest: string | undefined;
  let least = MOST_EDITS + 1;
  for (const each of names) {
    const distance = edits(name.toLowerCase(), each.toLowerCase());
    if (distance < least) {
      nearest = each;
      least = distance;
    }
  }
  return nearest === undefined ? `the options are ${names.toSorted().join(", ")}` : `did you mean ${nearest}?`;
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
