import { RSV1 } from "../frames/frame.ts";
import type { ClientExtension, ExtensionOffer, ExtensionParams, ServerExtension } from "../handshake/extensions.ts";
import { invalidOption } from "../arguments.ts";
import {
  type DeflateParams,
  MAX_WINDOW_BITS,
  MIN_WINDOW_BITS,
  type RawDeflateParams,
  readDeflateParams,
  type WindowBits,
  writeDeflateParams,
} from "./params.ts";

/** The name of the extension (RFC 7692 §7). */
export const PERMESSAGE_DEFLATE = "permessage-deflate";

/**
 * What one end asks for. All is optional. By default, no message may refer to earlier ones, in
 * either direction.
 */
export interface DeflateOptions {
  /** Whether messages of the server may refer to earlier ones. Default false. */
  readonly serverContextTakeover?: boolean;
  /** Whether messages of the client may refer to earlier ones. Default false. */
  readonly clientContextTakeover?: boolean;
  /** Largest window of the server's messages, 8 to 15. Default 15. */
  readonly serverMaxWindowBits?: WindowBits;
  /** Largest window of the client's messages, 8 to 15. Default 15. */
  readonly clientMaxWindowBits?: WindowBits;
}

function checked(preferences: DeflateOptions): Required<DeflateOptions> {
  return {
    serverContextTakeover: checkedFlag("serverContextTakeover", preferences.serverContextTakeover),
    clientContextTakeover: checkedFlag("clientContextTakeover", preferences.clientContextTakeover),
    serverMaxWindowBits: checkedBits("serverMaxWindowBits", preferences.serverMaxWindowBits),
    clientMaxWindowBits: checkedBits("clientMaxWindowBits", preferences.clientMaxWindowBits),
  };
}

function checkedFlag(name: string, flag: boolean | undefined): boolean {
  if (flag !== undefined && typeof flag !== "boolean") throw invalidOption(name, "a boolean", flag);
  return flag ?? false;
}

function checkedBits(name: string, bits: WindowBits | undefined): WindowBits {
  if (bits === undefined) return MAX_WINDOW_BITS;
  if (Number.isInteger(bits) && bits >= MIN_WINDOW_BITS && bits <= MAX_WINDOW_BITS) return bits;
  throw invalidOption(name, `an integer from ${MIN_WINDOW_BITS} to ${MAX_WINDOW_BITS}`, bits);
}

function smaller(a: WindowBits, b: WindowBits): WindowBits {
  return a < b ? a : b;
}

/** Returns the server side of the negotiation. Throws INVALID_ARGUMENT for invalid preferences. */
export function serverDeflate(preferences: DeflateOptions = {}): ServerExtension<DeflateParams> {
  const wanted = checked(preferences);
  return {
    name: PERMESSAGE_DEFLATE,
    rsv: RSV1,
    answer(offers) {
      for (const { params } of offers) {
        const offer = readDeflateParams(params, "offer");
        // §7.1: "A server MUST decline an extension negotiation offer for this extension if" its
        // parameters are invalid; the next one may be better
        if (typeof offer === "string") continue;
        const raw = answerTo(offer, wanted);
        return { params: writeDeflateParams(raw), negotiated: agreed(raw) };
      }
      return undefined;
    },
  };
}

/**
 * Accepts every valid offer: grants what the client requests, and adds what this server prefers.
 */
function answerTo(offer: RawDeflateParams, wanted: Required<DeflateOptions>): RawDeflateParams {
  const { serverMaxWindowBits, clientMaxWindowBits } = offer;
  // §7.1.2.2: "If a received extension negotiation offer doesn't have the "client_max_window_bits"
  // extension parameter, the corresponding extension negotiation response to the offer MUST NOT
  // include" it. Such a client cannot be limited to a smaller window. It is told not to use context
  // takeover instead, so that its window needs no memory.
  const canLimit = clientMaxWindowBits !== undefined;
  const clientLimit =
    typeof clientMaxWindowBits === "number"
      ? smaller(clientMaxWindowBits, wanted.clientMaxWindowBits)
      : wanted.clientMaxWindowBits;
  const mustReset = !canLimit && wanted.clientMaxWindowBits < MAX_WINDOW_BITS;
  // §7.1.2.1: "with the same or smaller value as the offer"
  const serverLimit = smaller(serverMaxWindowBits ?? MAX_WINDOW_BITS, wanted.serverMaxWindowBits);
  return {
    serverNoContextTakeover: offer.serverNoContextTakeover || !wanted.serverContextTakeover,
    clientNoContextTakeover: offer.clientNoContextTakeover || !wanted.clientContextTakeover || mustReset,
    serverMaxWindowBits: serverMaxWindowBits !== undefined || serverLimit < MAX_WINDOW_BITS ? serverLimit : undefined,
    clientMaxWindowBits: canLimit && clientLimit < MAX_WINDOW_BITS ? clientLimit : undefined,
  };
}

function agreed(answer: RawDeflateParams): DeflateParams {
  const { clientMaxWindowBits } = answer;
  return {
    serverNoContextTakeover: answer.serverNoContextTakeover,
    clientNoContextTakeover: answer.clientNoContextTakeover,
    serverMaxWindowBits: answer.serverMaxWindowBits ?? MAX_WINDOW_BITS,
    clientMaxWindowBits: typeof clientMaxWindowBits === "number" ? clientMaxWindowBits : MAX_WINDOW_BITS,
  };
}

/** An offer, and the limits that the client keeps for its own messages if a server accepts it. */
interface Candidate {
  readonly offer: RawDeflateParams;
  readonly own: Required<DeflateOptions>;
}

/**
 * Returns the client side of the negotiation. Each element of `preferences` becomes one offer, the
 * preferred one first. A server accepts the first offer that it can, or none. Throws
 * INVALID_ARGUMENT for invalid preferences.
 */
export function clientDeflate(...preferences: readonly DeflateOptions[]): ClientExtension<DeflateParams> {
  return clientExtension(candidates(preferences));
}

/**
 * As `clientDeflate`, with two more offers after those of the preferences: `client_max_window_bits`
 * alone, as browsers offer, and one without parameters. They are for servers that decline the
 * preferences, or do not answer their parameters. A server that accepts one of the two may refer to
 * earlier messages, up to 32 KiB, whatever the preferences are. For messages of the client, the
 * first preferences still apply.
 */
export function clientDeflateWithFallback(...preferences: readonly DeflateOptions[]): ClientExtension<DeflateParams> {
  const preferred = candidates(preferences);
  const [{ own }] = preferred;
  return clientExtension([...preferred, ...FALLBACK_OFFERS.map((offer) => ({ offer, own }))]);
}

const NO_PARAMETERS: RawDeflateParams = {
  serverNoContextTakeover: false,
  clientNoContextTakeover: false,
  serverMaxWindowBits: undefined,
  clientMaxWindowBits: undefined,
};
const FALLBACK_OFFERS: readonly RawDeflateParams[] = [{ ...NO_PARAMETERS, clientMaxWindowBits: true }, NO_PARAMETERS];

function candidates(preferences: readonly DeflateOptions[]): readonly [Candidate, ...Candidate[]] {
  const [first = {}, ...more] = preferences;
  const candidate = (one: DeflateOptions): Candidate => {
    const own = checked(one);
    return { offer: offerOf(own), own };
  };
  return [candidate(first), ...more.map(candidate)];
}

function clientExtension(offered: readonly Candidate[]): ClientExtension<DeflateParams> {
  return {
    name: PERMESSAGE_DEFLATE,
    rsv: RSV1,
    offers: offered.map(({ offer }): ExtensionOffer => ({
      name: PERMESSAGE_DEFLATE,
      params: writeDeflateParams(offer),
    })),
    accept: (params) => acceptAnswer(params, offered),
  };
}

function offerOf(wanted: Required<DeflateOptions>): RawDeflateParams {
  const { serverMaxWindowBits, clientMaxWindowBits } = wanted;
  return {
    serverNoContextTakeover: !wanted.serverContextTakeover,
    clientNoContextTakeover: !wanted.clientContextTakeover,
    serverMaxWindowBits: serverMaxWindowBits < MAX_WINDOW_BITS ? serverMaxWindowBits : undefined,
    // §7.1.2.2: without a value, it says that the server may limit the window of this client
    clientMaxWindowBits: clientMaxWindowBits < MAX_WINDOW_BITS ? clientMaxWindowBits : true,
  };
}

/**
 * Returns what a response accepts. It does not name an offer: it accepts the first one that it
 * matches.
 */
function acceptAnswer(params: ExtensionParams, offered: readonly Candidate[]): DeflateParams | string {
  const answer = readDeflateParams(params, "answer");
  if (typeof answer === "string") return answer;
  let wrong = "";
  for (const { offer, own } of offered) {
    const mismatch = mismatchOf(offer, answer);
    if (mismatch === undefined) {
      const params = agreed(answer);
      // the client keeps its own limits in any case: it may always use less than it is allowed
      return {
        ...params,
        clientNoContextTakeover: params.clientNoContextTakeover || !own.clientContextTakeover,
        clientMaxWindowBits: smaller(params.clientMaxWindowBits, own.clientMaxWindowBits),
      };
    }
    wrong ||= mismatch;
  }
  return wrong;
}

/** Returns why `answer` does not accept `offer`; undefined if it does. */
function mismatchOf(offer: RawDeflateParams, answer: RawDeflateParams): string | undefined {
  // §7.1.1.1: "A server accepts an extension negotiation offer that includes the
  // "server_no_context_takeover" extension parameter by including" it in its answer
  if (offer.serverNoContextTakeover && !answer.serverNoContextTakeover) {
    return "server_no_context_takeover was asked for and is not in the answer";
  }
  // §7.1.2.1: "with the same or smaller value as the offer"
  if (offer.serverMaxWindowBits !== undefined && (answer.serverMaxWindowBits ?? 16) > offer.serverMaxWindowBits) {
    return `server_max_window_bits was to be at most ${offer.serverMaxWindowBits}, got ${answer.serverMaxWindowBits ?? "none"}`;
  }
  // §7.1.2.2: "a value equal to or smaller than the received value". An answer to an offer without
  // the parameter "MUST NOT include" it. Of the offers made here, only the last one is without it,
  // and an answer with the parameter accepts the one before.
  const limit = offer.clientMaxWindowBits;
  if (
    typeof limit === "number" &&
    typeof answer.clientMaxWindowBits === "number" &&
    answer.clientMaxWindowBits > limit
  ) {
    return `client_max_window_bits was to be at most ${limit}, got ${answer.clientMaxWindowBits}`;
  }
  return undefined;
}
