import { Hub, type NamespaceOptions } from "@tungstate/hub";
import { checkMembers, flag, isObject, type Kinds, object, oneOf, text, whole } from "./kinds.ts";

export const NAMESPACE_KINDS: Kinds<NamespaceOptions> = {
  history: object,
  recovery: flag,
  recoveryLimit: whole(1, 10_000_000),
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

const MS = 365 * 24 * 3600_000; // the longest time that history may be kept

const HISTORY: Kinds<NonNullable<NamespaceOptions["history"]>> = {
  size: whole(1, 10_000_000),
  ttl: whole(1, MS),
  metaTtl: whole(1, MS),
  maxChannels: whole(1, 100_000_000),
};

export type Namespaces = Readonly<Record<string, NamespaceOptions>>;

/** All that is wrong with the namespaces of a file of settings. */
export function namespaceProblems(namespaces: Readonly<Record<string, unknown>>, where: string): string[] {
  return Object.entries(namespaces).flatMap(([name, options]) => problemsOf(name, options, `${where}.${name}`));
}

function problemsOf(name: string, options: unknown, where: string): string[] {
  const problems = checkMembers(options, NAMESPACE_KINDS, where);
  if (!isObject(options)) return problems;
  if (isObject(options["history"])) problems.push(...checkMembers(options["history"], HISTORY, `${where}.history`));
  if (problems.length > 0) return problems;
  try {
    new Hub({ namespaces: { [name]: options } }); // which knows what goes together
    return [];
  } catch (error) {
    return [`${where}: ${error instanceof Error ? error.message : String(error)}`];
  }
}
