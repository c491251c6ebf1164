import { Hub, type HubOptions } from "@tungstate/hub";
import { flag, type Kind, type Kinds, number, object, objectOrFalse, text } from "./kinds.ts";

/** Options of the hub that JSON can express: `serve` reads them from its settings file. */
export type HubFileOptions = {
  readonly [N in Exclude<keyof HubOptions, WiredName>]?: HubOptions[N];
};

/** Options that `serve` makes itself: functions, and what other settings say (tokens, Redis, namespaces). */
const WIRED = {
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

type WiredName = keyof typeof WIRED;

/** The compiler sees to it that no option of the hub is missing here and above. What they may be is checked by the hub. */
export const HUB_KINDS: Kinds<HubFileOptions> = {
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

/** The options of the hub in a settings file, and all that is wrong with them, one by one. */
export function readHubOptions(
  content: Readonly<Record<string, unknown>>,
  file: string,
): { readonly options: HubFileOptions; readonly problems: readonly string[] } {
  const given = Object.entries(HUB_KINDS).filter(([name, kind]) => fits(kind, content[name]));
  const problems = given.flatMap(([name]) => {
    const message = problemOf({ [name]: content[name] });
    return message === undefined ? [] : [`${file}: ${message}`];
  });
  const options: HubFileOptions = Object.fromEntries(given.map(([name]) => [name, content[name]]));
  return { options: problems.length === 0 ? options : {}, problems };
}

/** What does not fit its kind has been told. */
function fits(kind: Kind<unknown>, value: unknown): boolean {
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
