import type { DeflateWish } from "../cases/case.ts";
import type { DeflateDirection } from "./deflate.ts";

/** permessage-deflate as agreed (RFC 7692 §7.1), seen from the suite. */
export interface DeflateAgreement {
  readonly sending: DeflateDirection;
  readonly receiving: DeflateDirection;
}

type Parameters = ReadonlyMap<string, string>;

interface Extension {
  readonly name: string;
  readonly parameters: Parameters;
  /** A parameter that came twice. */
  readonly twice: string | undefined;
}

const NAME = "permessage-deflate";
const MAX_WINDOW_BITS = 15;

/** A Sec-WebSocket-Extensions value. Quoted strings are read, but none of the parameters here needs more than digits. */
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
 * The suite as a client: what it asks of the server's compressor. It takes anything asked of its own, but does not offer
 * client_no_context_takeover: that would be a promise (RFC 7692 §7.1.1.2), and a server has to cope with context as well.
 */
export function offer(wishes: readonly DeflateWish[]): string {
  return wishes
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

/** The suite as a client: what the server answered. Undefined: declined; a string: what is wrong with the answer. */
export function readAnswer(value: string, wishes: readonly DeflateWish[]): DeflateAgreement | undefined | string {
  const [extension, ...others] = parseExtensions(value);
  if (extension === undefined) return undefined;
  if (others.length > 0) return `the answer has more than one extension: ${value}`;
  const { name, parameters, twice } = extension;
  if (name !== NAME || wishes.length === 0) return `the answer has an extension that nobody asked for: ${value}`;
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
  // RFC 7692 §7.1.1.1, §7.1.2.1: a server that accepts an offer with these parameters has to answer with them.
  const granted = wishes.some(
    (wish) =>
      (!wish.noContextTakeover || receiving.noContextTakeover) &&
      (wish.windowBits === 0 || (parameters.has("server_max_window_bits") && receiving.windowBits <= wish.windowBits)),
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
  wish: DeflateWish,
): { agreement: DeflateAgreement; answer: string } | undefined {
  const offered = parameters.get("client_max_window_bits");
  // RFC 7692 §7.1.2.2: the server may limit the client's window only if the client said that it can do so.
  if (wish.windowBits !== 0 && offered === undefined) return undefined;
  const limit = offered === undefined || offered === "" ? MAX_WINDOW_BITS : windowBitsOf(offered);
  const own = windowBitsOf(parameters.get("server_max_window_bits"));
  if (limit === undefined || own === undefined) return undefined;
  const windowBits = Math.min(wish.windowBits === 0 ? MAX_WINDOW_BITS : wish.windowBits, limit);
  const noContextTakeover = parameters.has("server_no_context_takeover");
  const answer = [
    NAME,
    ...(noContextTakeover ? ["server_no_context_takeover"] : []),
    ...(parameters.has("server_max_window_bits") ? [`server_max_window_bits=${own}`] : []),
    ...(wish.noContextTakeover ? ["client_no_context_takeover"] : []),
    ...(wish.windowBits === 0 ? [] : [`client_max_window_bits=${windowBits}`]),
  ].join("; ");
  return {
    agreement: {
      sending: { noContextTakeover, windowBits: own },
      receiving: { noContextTakeover: wish.noContextTakeover, windowBits },
    },
    answer,
  };
}

/** The suite as a server: the first wish that one of the client's offers allows. */
export function accept(
  value: string,
  wishes: readonly DeflateWish[],
): { readonly agreement: DeflateAgreement; readonly answer: string } | undefined {
  const offers = parseExtensions(value).filter(({ name, twice }) => name === NAME && twice === undefined);
  for (const wish of wishes) {
    for (const { parameters } of offers) {
      const accepted = acceptOffer(parameters, wish);
      if (accepted !== undefined) return accepted;
    }
  }
  return undefined;
}
