import { Hub, type NamespaceOptions } from "@tungstate/hub";
import { checkMembers, flag, isObject, type ValueTypes, object, oneOf, text, integer } from "./value-types.ts";

export const NAMESPACE_OPTION_TYPES: ValueTypes<NamespaceOptions> = {
  history: object,
  recovery: flag,
  recoveryLimit: integer(1, 10_000_000),
  presence: flag,
  joinLeave: oneOf(true, false, "asking"),
  delta: flag,
  slowConsumer: oneOf("disconnect", "drop-oldest", "conflate"),
  conflateBy: text,
  subscribe: oneOf("anyone", "authenticated", "nobody"),
  publish: oneOf("anyone", "authenticated", "subscribers", "nobody"),
  readPresence: oneOf("anyone", "authenticated", "subscribers", "nobody"),
  readHistory: oneOf("anyone", "authenticated", "subscribers", "nobody"),
};

const MS = 365 * 24 * 3600_000; // ms; the longest history TTL

const HISTORY: ValueTypes<NonNullable<NamespaceOptions["history"]>> = {
  size: integer(1, 10_000_000),
  ttl: integer(1, MS),
  metaTtl: integer(1, MS),
  maxChannels: integer(1, 100_000_000),
};

export type Namespaces = Readonly<Record<string, NamespaceOptions>>;

/** Returns the problems of the namespaces in a settings file. */
export function namespaceProblems(namespaces: Readonly<Record<string, unknown>>, where: string): string[] {
  return Object.entries(namespaces).flatMap(([name, options]) => problemsOf(name, options, `${where}.${name}`));
}

function problemsOf(name: string, options: unknown, where: string): string[] {
  const problems = checkMembers(options, NAMESPACE_OPTION_TYPES, where);
  if (!isObject(options)) return problems;
  if (isObject(options["history"])) problems.push(...checkMembers(options["history"], HISTORY, `${where}.history`));
  if (problems.length > 0) return problems;
  try {
    new Hub({ namespaces: { [name]: options } }); // the hub checks combinations of options
    return [];
  } catch (error) {
    return [`${where}: ${error instanceof Error ? error.message : String(error)}`];
  }
}
