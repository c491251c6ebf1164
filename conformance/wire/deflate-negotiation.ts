import type { DeflatePreference } from "../cases/case.ts";
import type { DeflateDirection } from "./deflate.ts";

/** The negotiated permessage-deflate (RFC 7692 §7.1) from the suite's side. */
export interface DeflateAgreement {
  readonly sending: DeflateDirection;
  readonly receiving: DeflateDirection;
}

type Parameters = ReadonlyMap<string, string>;

interface Extension {
  readonly name: string;
  readonly parameters: Parameters;
  /** A repeated parameter. */
  readonly twice: string | undefined;
}

const NAME = "permessage-deflate";
const MAX_WINDOW_BITS = 15;

/** Parses a Sec-WebSocket-Extensions value. Quoted strings are accepted. */
function parseExtensions(value: string): readonly Extension[] {
  if (value.trim() === "") return [];
  return value.split(",").map((item) => {
    const [name = "", ...parts] = item.split(";").map((part) => part.trim());
    const parameters = new Map<string, string>();
    let twice: string | undefined;
    for (const part of parts) {
      const [key = "", setting = ""] = part.split("=").map((side) => side.trim());
      if (parameters.has(key)) twice = key;
      parameters.set(key, setting.replace(/^"(.*)"$/, "$1"));
    }
    return { name, parameters, twice };
  });
}

function windowBitsOf(value: string | undefined): number | undefined {
  if (value === undefined) return MAX_WINDOW_BITS;
  return /^([89]|1[0-5])$/.test(value) ? Number(value) : undefined;
}

/**
 * Offer of the suite as a client: parameters for the server's compressor. The suite accepts any
 * parameters for its own compressor, but does not offer client_no_context_takeover: that would be a
 * promise (RFC 7692 §7.1.1.2), and a server must support context takeover.
 */
export function offer(preferences: readonly DeflatePreference[]): string {
  return preferences
    .map(({ noContextTakeover, windowBits }) =>
      [
        NAME,
        "client_max_window_bits",
        ...(noContextTakeover ? ["server_no_context_takeover"] : []),
        ...(windowBits === 0 ? [] : [`server_max_window_bits=${windowBits}`]),
      ].join("; "),
    )
    .join(", ");
}

/**
 * Checks a server's answer to an offer. Returns undefined if the server declined, or a string if
 * the answer is invalid.
 */
export function readAnswer(
  value: string,
  preferences: readonly DeflatePreference[],
): DeflateAgreement | undefined | string {
  const [extension, ...others] = parseExtensions(value);
  if (extension === undefined) return undefined;
  if (others.length > 0) return `the answer has more than one extension: ${value}`;
  const { name, parameters, twice } = extension;
  if (name !== NAME || preferences.length === 0) return `the answer has an extension that nobody asked for: ${value}`;
  if (twice !== undefined) return `the answer has ${twice} twice`;
  for (const [key, setting] of parameters) {
    const isFlag = key === "server_no_context_takeover" || key === "client_no_context_takeover";
    const isWindow = key === "server_max_window_bits" || key === "client_max_window_bits";
    const settingIsRight = isFlag ? setting === "" : isWindow && windowBitsOf(setting) !== undefined;
    if (!settingIsRight) return `the answer has a wrong parameter: ${key}=${setting}`;
  }
  const receiving = {
    noContextTakeover: parameters.has("server_no_context_takeover"),
    windowBits: windowBitsOf(parameters.get("server_max_window_bits")) ?? MAX_WINDOW_BITS,
  };
  // RFC 7692 §7.1.1.1, §7.1.2.1: a server that accepts an offer with these parameters must include
  // them in its answer.
  const granted = preferences.some(
    (preference) =>
      (!preference.noContextTakeover || receiving.noContextTakeover) &&
      (preference.windowBits === 0 ||
        (parameters.has("server_max_window_bits") && receiving.windowBits <= preference.windowBits)),
  );
  if (!granted) return `the answer fits no offer: ${value}`;
  return {
    receiving,
    sending: {
      noContextTakeover: parameters.has("client_no_context_takeover"),
      windowBits: windowBitsOf(parameters.get("client_max_window_bits")) ?? MAX_WINDOW_BITS,
    },
  };
}

function acceptOffer(
  parameters: Parameters,
  preference: DeflatePreference,
): { agreement: DeflateAgreement; answer: string } | undefined {
  const offered = parameters.get("client_max_window_bits");
  // RFC 7692 §7.1.2.2: the server may limit the client's window only if the client offered the
  // parameter.
  if (preference.windowBits !== 0 && offered === undefined) return undefined;
  const limit = offered === undefined || offered === "" ? MAX_WINDOW_BITS : windowBitsOf(offered);
  const own = windowBitsOf(parameters.get("server_max_window_bits"));
  if (limit === undefined || own === undefined) return undefined;
  const windowBits = Math.min(preference.windowBits === 0 ? MAX_WINDOW_BITS : preference.windowBits, limit);
  const noContextTakeover = parameters.has("server_no_context_takeover");
  const answer = [
    NAME,
    ...(noContextTakeover ? ["server_no_context_takeover"] : []),
    ...(parameters.has("server_max_window_bits") ? [`server_max_window_bits=${own}`] : []),
    ...(preference.noContextTakeover ? ["client_no_context_takeover"] : []),
    ...(preference.windowBits === 0 ? [] : [`client_max_window_bits=${windowBits}`]),
  ].join("; ");
  return {
    agreement: {
      sending: { noContextTakeover, windowBits: own },
      receiving: { noContextTakeover: preference.noContextTakeover, windowBits },
    },
    answer,
  };
}

/** Answer of the suite as a server: the first requested parameters that an offer permits. */
export function accept(
  value: string,
  preferences: readonly DeflatePreference[],
): { readonly agreement: DeflateAgreement; readonly answer: string } | undefined {
  const offers = parseExtensions(value).filter(({ name, twice }) => name === NAME && twice === undefined);
  for (const preference of preferences) {
    for (const { parameters } of offers) {
      const accepted = acceptOffer(parameters, preference);
      if (accepted !== undefined) return accepted;
    }
  }
  return undefined;
}
