import { Hub, type HubOptions } from "@tungstate/hub";
import { flag, type ValueType, type ValueTypes, number, object, objectOrFalse, text } from "./value-types.ts";

/** Hub options that JSON can express. `serve` reads them from its settings file. */
export type HubFileOptions = {
  readonly [N in Exclude<keyof HubOptions, OptionSetByServe>]?: HubOptions[N];
};

/**
 * Hub options that `serve` sets itself: functions, and options derived from other settings (tokens,
 * Redis, namespaces).
 */
const SET_BY_SERVE = {
  namespaces: true,
  broker: true,
  presence: true,
  tokens: true,
  authenticate: true,
  onConnect: true,
  onDisconnect: true,
  onMessage: true,
  onError: true,
  memoryBudget: true,
  clock: true,
  newId: true,
} as const satisfies Partial<Readonly<Record<keyof HubOptions, true>>>;

type OptionSetByServe = keyof typeof SET_BY_SERVE;

/**
 * The types of the options in a settings file. The compiler checks that each option of the hub is
 * listed here or above. The hub checks the values.
 */
export const HUB_OPTION_TYPES: ValueTypes<HubFileOptions> = {
  anonymous: flag,
  limits: object,
  ping: objectOrFalse,
  connectTimeout: number,
  refreshGrace: number,
  positionCheckInterval: number,
  announceInterval: number,
  name: text,
  version: text,
};

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
