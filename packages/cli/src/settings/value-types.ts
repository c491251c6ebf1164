/** The type of a setting, as JSON in a file and as text in flags and environment variables. */
export interface ValueType<T> {
  /** For error messages, such as "an integer from 0 to 65535". */
  readonly expected: string;
  /** The expected value of one element of a list. */
  readonly each?: string;
  fits(value: unknown): value is T;
  /** Parses the texts of all occurrences of a flag. `wrong` is the first text that is not valid. */
  parse(texts: readonly string[]): { readonly value: T } | { readonly wrong: string };
}

/** A type with a single value. If a flag is repeated, the last one is used. */
function single<T>(
  expected: string,
  fits: (value: unknown) => value is T,
  read: (text: string) => unknown,
): ValueType<T> {
  return {
    expected,
    fits,
    parse(texts) {
      const text = texts.at(-1) ?? "";
      const value = read(text);
      return fits(value) ? { value } : { wrong: text };
    },
  };
}

const asIs = (text: string): string => text;

export const text: ValueType<string> = single("a string", (value): value is string => typeof value === "string", asIs);

export const flag: ValueType<boolean> = single(
  "true or false",
  (value): value is boolean => typeof value === "boolean",
  (given) => (given === "true" || given === "1" ? true : given === "false" || given === "0" ? false : undefined),
);

export function integer(least: number, most: number): ValueType<number> {
  const fits = (value: unknown): value is number =>
    typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;
  const read = (given: string): unknown => (/^\d+$/.test(given) ? Number(given) : undefined);
  return single(`an integer from ${least} to ${most}`, fits, read);
}

export function oneOf<const T extends readonly (string | boolean)[]>(...values: T): ValueType<T[number]> {
  const fits = (value: unknown): value is T[number] => values.some((each) => each === value);
  return single(`one of ${values.join(", ")}`, fits, asIs);
}

export function matching(expected: string, fits: (text: string) => boolean): ValueType<string> {
  return single(expected, (value): value is string => typeof value === "string" && fits(value), asIs);
}

export function list<T>(of: ValueType<T>, expected: string): ValueType<readonly T[]> {
  return {
    expected,
    each: of.expected,
    fits: (value): value is readonly T[] => Array.isArray(value) && value.every((each) => of.fits(each)),
    parse(texts) {
      const values: T[] = [];
      for (const each of texts) {
        const parsed = of.parse([each]);
        if ("wrong" in parsed) return parsed;
        values.push(parsed.value);
      }
      return { value: values };
    },
  };
}

/** A type that flags and the environment cannot express. */
export function inFiles<T>(expected: string, fits: (value: unknown) => value is T): ValueType<T> {
  return { expected, fits, parse: ([given = ""]) => ({ wrong: given }) };
}

/** A JSON number. Its range is checked by the user of the value. */
export const number: ValueType<number> = inFiles("a number", (value): value is number => typeof value === "number");

/** A JSON object. Its members are checked by the user of the value. */
export const object: ValueType<Readonly<Record<string, unknown>>> = inFiles("an object", isObject);

export const objectOrFalse: ValueType<Readonly<Record<string, unknown>> | false> = inFiles(
  "an object or false",
  (value): value is Readonly<Record<string, unknown>> | false => value === false || isObject(value),
);

/** A type for each member of `T`. */
export type ValueTypes<T> = { readonly [Name in keyof Required<T>]: ValueType<unknown> };

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns the problems of an object's members, each checked separately. */
export function checkMembers(
  value: unknown,
  kinds: Readonly<Record<string, ValueType<unknown>>>,
  where: string,
): string[] {
  if (!isObject(value)) return [`${where} must be an object`];
  return Object.entries(value).flatMap(([name, each]) => {
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) return [`${where}: unknown setting ${name}`];
    return kind.fits(each) ? [] : [`${where}: ${name} must be ${kind.expected}`];
  });
}
