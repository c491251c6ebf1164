/** What a setting may be: as JSON in a file, and as the texts of flags or of an environment variable. */
export interface Kind<T> {
  /** "a whole number from 0 to 65535" */
  readonly expected: string;
  /** The same for one element of a list. */
  readonly each?: string;
  fits(value: unknown): value is T;
  /** Of one text or, for a list, of each; `wrong`: the first that is not what it has to be. */
  parse(texts: readonly string[]): { readonly value: T } | { readonly wrong: string };
}

/** A kind that one text is enough for: the last one counts. */
function single<T>(expected: string, fits: (value: unknown) => value is T, read: (text: string) => unknown): Kind<T> {
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

export const text: Kind<string> = single("a string", (value): value is string => typeof value === "string", asIs);

export const flag: Kind<boolean> = single(
  "true or false",
  (value): value is boolean => typeof value === "boolean",
  (given) => (given === "true" || given === "1" ? true : given === "false" || given === "0" ? false : undefined),
);

export function whole(least: number, most: number): Kind<number> {
  const fits = (value: unknown): value is number =>
    typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;
  const read = (given: string): unknown => (/^\d+$/.test(given) ? Number(given) : undefined);
  return single(`a whole number from ${least} to ${most}`, fits, read);
}

export function oneOf<const T extends readonly (string | boolean)[]>(...values: T): Kind<T[number]> {
  const fits = (value: unknown): value is T[number] => values.some((each) => each === value);
  return single(`one of ${values.join(", ")}`, fits, asIs);
}

export function matching(expected: string, fits: (text: string) => boolean): Kind<string> {
  return single(expected, (value): value is string => typeof value === "string" && fits(value), asIs);
}

export function list<T>(of: Kind<T>, expected: string): Kind<readonly T[]> {
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

/** What can't be said in a flag. */
export function inFiles<T>(expected: string, fits: (value: unknown) => value is T): Kind<T> {
  return { expected, fits, parse: ([given = ""]) => ({ wrong: given }) };
}

/** A number of JSON's. Something else knows its range. */
export const number: Kind<number> = inFiles("a number", (value): value is number => typeof value === "number");

/** An object that something else looks into. */
export const object: Kind<Readonly<Record<string, unknown>>> = inFiles("an object", isObject);

export const objectOrFalse: Kind<Readonly<Record<string, unknown>> | false> = inFiles(
  "an object or false",
  (value): value is Readonly<Record<string, unknown>> | false => value === false || isObject(value),
);

/** A kind for each member. */
export type Kinds<T> = { readonly [Name in keyof Required<T>]: Kind<unknown> };

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What is wrong with the members of an object, each on its own. */
export function checkMembers(value: unknown, kinds: Readonly<Record<string, Kind<unknown>>>, where: string): string[] {
  if (!isObject(value)) return [`${where} has to be an object`];
  return Object.entries(value).flatMap(([name, each]) => {
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) return [`${where}: there is no setting ${name}`];
    return kind.fits(each) ? [] : [`${where}: ${name} has to be ${kind.expected}`];
  });
}
