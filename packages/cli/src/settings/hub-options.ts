import { Hub, HUB_OPTIONS, type HubOptionKind, type HubOptions } from "@tungstate/hub";
import { flag, type ValueType, number, object, objectOrFalse, text } from "./value-types.ts";

/** Hub options that a file can express, except namespaces, which are settings of their own. */
export type HubFileOptions = {
  readonly [
    N in keyof HubOptions as N extends "namespaces" ? never : (typeof HUB_OPTIONS)[N] extends "code" ? never : N
  ]: HubOptions[N];
};

const TYPES: Readonly<Record<Exclude<HubOptionKind, "code">, ValueType<unknown>>> = {
  flag,
  number,
  text,
  object,
  objectOrFalse,
};

/** The types of the options in a settings file. The hub checks the values. */
export const HUB_OPTION_TYPES: Readonly<Record<string, ValueType<unknown>>> = Object.fromEntries(
  Object.entries(HUB_OPTIONS).flatMap(([name, kind]) =>
    kind === "code" || name === "namespaces" ? [] : [[name, TYPES[kind]] as const],
  ),
);

/** Reads the hub options of a settings file and checks each one separately. */
export function readHubOptions(
  content: Readonly<Record<string, unknown>>,
  file: string,
): { readonly options: HubFileOptions; readonly problems: readonly string[] } {
  const given = Object.entries(HUB_OPTION_TYPES).filter(([name, kind]) => fits(kind, content[name]));
  const problems = given.flatMap(([name]) => {
    const message = problemOf({ [name]: content[name] });
    return message === undefined ? [] : [`${file}: ${message}`];
  });
  const options: HubFileOptions = Object.fromEntries(given.map(([name]) => [name, content[name]]));
  return { options: problems.length === 0 ? options : {}, problems };
}

/** Values of a wrong type were already reported. */
function fits(kind: ValueType<unknown>, value: unknown): boolean {
  return value !== undefined && kind.fits(value);
}

function problemOf(options: HubFileOptions): string | undefined {
  try {
    new Hub({ namespaces: {}, ...options });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
