import { Hub, type NamespaceOptions } from "@tungstate/hub";
import { readFileSync } from "node:fs";
import { explainSystem } from "./explain.ts";
import type { ServeOptions } from "./serve.ts";

/** What a value has to be, and whether it is. */
interface Rule {
  readonly expected: string;
  readonly fits: (value: unknown) => boolean;
}

type Rules<T> = { readonly [Name in keyof Required<T>]: Rule };

const text: Rule = { expected: "a string", fits: (value) => typeof value === "string" };
const flag: Rule = { expected: "true or false", fits: (value) => typeof value === "boolean" };
const texts: Rule = { expected: "a list of strings", fits: (value) => Array.isArray(value) && value.every(text.fits) };
const object: Rule = { expected: "an object", fits: isObject };

function whole(least: number, most: number): Rule {
  const fits = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
  return { expected: `a whole number from ${least} to ${most}`, fits };
}

function oneOf(...values: readonly (string | boolean)[]): Rule {
  return { expected: `one of ${values.join(", ")}`, fits: (value) => values.some((each) => each === value) };
}

/** What flags say, but `namespaces` instead of `--namespace`. */
type Settings = Omit<ServeOptions, "namespace" | "config">;

const SETTINGS: Rules<Settings> = {
  host: text,
  port: whole(0, 65_535),
  origin: {
    expected: 'a list of origins such as "https://example.com", or "any"',
    fits: (value) => Array.isArray(value) && value.every(isOrigin),
  },
  maxConnections: whole(1, 10_000_000),
  compression: flag,
  drain: whole(0, 3600),
  logLevel: oneOf("silent", "error", "warn", "info", "debug"),
  tokenSecret: text,
  apiKey: texts,
  namespaces: object,
};

const NAMESPACE: Rules<NamespaceOptions> = {
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

const HISTORY: Rules<NonNullable<NamespaceOptions["history"]>> = {
  size: whole(1, 10_000_000),
  ttl: whole(1, MS),
  metaTtl: whole(1, MS),
};

export interface Config {
  readonly settings: Partial<Settings>;
  /** All that is wrong with the file; it never has a value of it. */
  readonly problems: readonly string[];
}

/** Reads a file of settings, JSON with the names of the flags in camelCase. */
export function readConfig(file: string): Config {
  let settings: unknown;
  try {
    settings = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    // what JSON.parse says quotes the file, in which there may be a secret
    const why = error instanceof SyntaxError ? "it is not JSON" : explainSystem(error);
    return { settings: {}, problems: [`${file}: ${why}`] };
  }
  const problems = check(settings, SETTINGS, file);
  if (!isObject(settings) || problems.length > 0) return { settings: {}, problems };
  const { namespaces } = settings;
  for (const [name, options] of Object.entries(isObject(namespaces) ? namespaces : {})) {
    problems.push(...namespaceProblems(name, options, `${file}: namespaces.${name}`));
  }
  return { settings, problems };
}

function namespaceProblems(name: string, options: unknown, where: string): string[] {
  const problems = check(options, NAMESPACE, where);
  if (!isObject(options)) return problems;
  if (isObject(options.history)) problems.push(...check(options.history, HISTORY, `${where}.history`));
  if (problems.length > 0) return problems;
  try {
    new Hub({ namespaces: { [name]: options } }); // which knows what goes together
    return [];
  } catch (error) {
    return [`${where}: ${error instanceof Error ? error.message : String(error)}`];
  }
}

function check<T>(value: unknown, rules: Rules<T>, where: string): string[] {
  if (!isObject(value)) return [`${where} has to be an object`];
  const known = new Map<string, Rule>(Object.entries(rules));
  return Object.entries(value).flatMap(([name, each]) => {
    const rule = known.get(name);
    if (rule === undefined) return [`${where}: there is no setting ${name}`];
    return rule.fits(each) ? [] : [`${where}: ${name} has to be ${rule.expected}`];
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isOrigin(value: unknown): boolean {
  return value === "any" || (typeof value === "string" && URL.canParse(value) && new URL(value).origin === value);
}
