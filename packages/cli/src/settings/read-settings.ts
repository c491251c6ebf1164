import { readFileSync } from "node:fs";
import { explainSystem } from "../system/explain.ts";
import { checkMembers, isObject, type ValueType, object } from "./value-types.ts";
import { HUB_OPTION_TYPES, type HubFileOptions, readHubOptions } from "./hub-options.ts";
import { namespaceProblems } from "./namespaces.ts";
import {
  flagOf,
  type Name,
  type ServeSettings,
  type Setting,
  SETTING_NAMES,
  SETTINGS,
  variableOf,
} from "./settings.ts";

/** The flags as Commander parses them: strings, and `true` for flags without an argument. */
export type Flags = Readonly<Record<string, string | readonly string[] | true | undefined>>;
export type Environment = Readonly<Record<string, string | undefined>>;

export interface ReadSettings {
  readonly settings: ServeSettings;
  /** Every problem found in any source. Never contains a secret. */
  readonly problems: readonly string[];
}

/**
 * Reads settings from flags, the environment, a file and the defaults. Earlier sources in this list
 * take precedence.
 */
export function readSettings(flags: Flags, environment: Environment): ReadSettings {
  const problems: string[] = [];
  const { config = environment[variableOf("config")] || undefined } = flags;
  const { content: inFile, hub } = typeof config === "string" ? readFile(config, problems) : { content: {}, hub: {} };

  const take = <N extends Name>(name: N): Exclude<ServeSettings[N], undefined> | undefined => {
    const setting: Setting<Exclude<ServeSettings[N], undefined>> = SETTINGS[name];
    const { kind, repeatable: isList, separator = ",", only, defaultValue } = setting;
    const parse = (from: string, given: readonly string[]): Exclude<ServeSettings[N], undefined> | undefined => {
      const parsed = kind.parse(given);
      if ("value" in parsed) return parsed.value;
      const got = setting.secret === true ? "" : `, got ${JSON.stringify(parsed.wrong)}`;
      problems.push(`${from} must be ${kind.each ?? kind.expected}${got}`);
      return undefined;
    };
    const said = flags[name];
    if (said !== undefined) return parse(flagOf(name), said === true ? ["true"] : [said].flat());
    const variable = only === undefined ? environment[variableOf(name)] : undefined;
    if (variable !== undefined && variable !== "") {
      return parse(
        variableOf(name),
        isList === true ? variable.split(separator).map((each) => each.trim()) : [variable],
      );
    }
    const value = inFile[name];
    if (value === undefined) return defaultValue;
    // problems of the file were reported when it was read
    return kind.fits(value) ? value : undefined;
  };
  const settings: ServeSettings = {
    host: take("host") ?? "",
    port: take("port") ?? 0,
    origin: take("origin") ?? [],
    allowedHost: take("allowedHost") ?? [],
    maxConnections: take("maxConnections") ?? Infinity,
    maxConnectionsPerAddress: take("maxConnectionsPerAddress") ?? Infinity,
    trustProxy: take("trustProxy") ?? [],
    compression: take("compression") ?? false,
    workers: take("workers") ?? 1,
    drain: take("drain") ?? 0,
    tlsCert: take("tlsCert"),
    tlsKey: take("tlsKey"),
    http2: take("http2") ?? false,
    redis: take("redis") ?? [],
    redisPrefix: take("redisPrefix") ?? "",
    redisTimeout: take("redisTimeout"),
    redisPresenceTtl: take("redisPresenceTtl"),
    redisMemoryLimit: take("redisMemoryLimit"),
    redisCa: take("redisCa"),
    redisCert: take("redisCert"),
    redisKey: take("redisKey"),
    historyBytes: take("historyBytes"),
    memoryBudget: take("memoryBudget"),
    tokenSecret: take("tokenSecret"),
    tokenPublicKey: take("tokenPublicKey") ?? [],
    tokenJwks: take("tokenJwks"),
    tokenAudience: take("tokenAudience") ?? [],
    tokenIssuer: take("tokenIssuer") ?? [],
    tokenClockTolerance: take("tokenClockTolerance"),
    apiKey: take("apiKey") ?? [],
    namespace: take("namespace") ?? [],
    namespaces: take("namespaces") ?? {},
    hub,
    logLevel: take("logLevel") ?? "info",
  };
  return { settings, problems };
}

interface FromFile {
  readonly content: Readonly<Record<string, unknown>>;
  readonly hub: HubFileOptions;
}

function readFile(file: string, problems: string[]): FromFile {
  const nothing: FromFile = { content: {}, hub: {} };
  if (file === "") {
    problems.push('--config must be the name of a file, got ""');
    return nothing;
  }
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    // the message of JSON.parse quotes the file, which may contain a secret
    problems.push(`${file}: ${error instanceof SyntaxError ? "expected JSON" : explainSystem(error)}`);
    return nothing;
  }
  problems.push(...checkMembers(content, IN_FILES, file));
  if (!isObject(content)) return nothing;
  const { namespaces } = content;
  if (isObject(namespaces)) problems.push(...namespaceProblems(namespaces, `${file}: namespaces`));
  const hub = readHubOptions(content, file);
  problems.push(...hub.problems);
  return { content, hub: hub.options };
}

/** The members of a settings file. Namespaces are checked separately. */
const IN_FILES: Readonly<Record<string, ValueType<unknown>>> = {
  ...Object.fromEntries(
    SETTING_NAMES.filter((name) => SETTINGS[name].only !== "flags").map((name) => [name, SETTINGS[name].kind]),
  ),
  namespaces: object,
  ...HUB_OPTION_TYPES,
};
