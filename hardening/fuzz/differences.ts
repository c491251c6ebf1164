import type { ProtocolErrorCode } from "@tungstate/protocol";

/**
 * Where the verdicts of ws and of this project differ, and why. A difference that is on none of these lists is a finding. A row that no input of the corpus
 * shows is a mistake in the list: a test looks for that.
 */

/** What both made of the same frames. `undefined`: no error. */
export interface FrameVerdicts {
  readonly ours: {
    readonly events: readonly string[];
    readonly code: ProtocolErrorCode | undefined;
    readonly close: number | undefined;
  };
  readonly theirs: {
    readonly events: readonly string[];
    readonly message: string | undefined;
    readonly close: number | undefined;
  };
}

export interface Difference<Verdicts> {
  readonly name: string;
  /** Where it says what is right. */
  readonly source: string;
  readonly why: string;
  readonly is: (verdicts: Verdicts) => boolean;
}

/** Whether theirs begins as ours does: they go on where we have stopped. */
function theyGoOn({ ours, theirs }: FrameVerdicts): boolean {
  return theirs.events.length >= ours.events.length && ours.events.every((event, at) => event === theirs.events[at]);
}

function weGoOn({ ours, theirs }: FrameVerdicts): boolean {
  return ours.events.length >= theirs.events.length && theirs.events.every((event, at) => event === ours.events[at]);
}

export const FRAME_DIFFERENCES: readonly Difference<FrameVerdicts>[] = [
  {
    name: "text is checked as it comes",
    source: "RFC 6455 §8.1",
    why: "ws looks at a text when all of it is there; a byte that no continuation can mend ends the connection here at once. The Autobahn Testsuite calls that strict (6.4).",
    is: (verdicts) => verdicts.ours.code === "INVALID_UTF8" && theyGoOn(verdicts),
  },
  {
    name: "lengths in their shortest form",
    source: "RFC 6455 §5.2",
    why: '"the minimal number of bytes MUST be used to encode the length", which ws does not check.',
    is: (verdicts) => verdicts.ours.code === "NON_MINIMAL_LENGTH" && theyGoOn(verdicts),
  },
  {
    name: "the most significant bit of a length",
    source: "RFC 6455 §5.2",
    why: '"the most significant bit MUST be 0": 1002 here; to ws it is one more length that is too large: 1009.',
    is: ({ ours, theirs }) => ours.code === "INVALID_LENGTH" && theirs.close === 1009,
  },
  {
    name: "a Close is looked at when all of it is there",
    source: "RFC 6455 §5.5.1",
    why: "A length of 1, which no Close has, is an error for ws in the header already; here when the byte has come.",
    is: (verdicts) =>
      verdicts.theirs.message === "invalid payload length 1" && verdicts.ours.close === undefined && weGoOn(verdicts),
  },
];

/** Requests that are refused here and that ws lets in, by the error that they are here. */
export const REFUSED_HERE: Readonly<
  Partial<Record<ProtocolErrorCode, { readonly source: string; readonly why: string }>>
> = {
  MALFORMED_HEAD: {
    source: "RFC 9112 §2.2, §5",
    why: "Node's HTTP parser takes some heads that are not HTTP/1.1: folded lines, spaces around names, other bytes in values.",
  },
  TOO_MANY_HEADERS: { source: "RFC 9110 §5.4", why: "maxHeaders is 100 here; Node's limit is 2,000." },
  INVALID_HOST: { source: "RFC 6455 §4.2.1", why: "exactly one valid Host; Node takes any, and the first of several." },
  UNSUPPORTED_VERSION: {
    source: "RFC 6455 §4.2.1",
    why: "only 13, to the letter; ws takes 8, and whatever else JavaScript reads as one of these numbers.",
  },
  INVALID_ORIGIN: { source: "RFC 6454 §7.3", why: "one Origin at most; Node keeps the first of several." },
  UNEXPECTED_BODY: {
    source: "RFC 6455 §4.1",
    why: "what is behind the head are frames; a body that is announced would be read as something else in between.",
  },
  UNSUPPORTED_HTTP_VERSION: { source: "RFC 6455 §4.2.1", why: '"An HTTP/1.1 or higher GET request".' },
};

/** What both made of a request. */
export interface RequestVerdicts {
  readonly request: string;
  readonly theirs: number;
}

/** Requests that ws refuses, and that are let in here. */
export const REFUSED_THERE: readonly Difference<RequestVerdicts>[] = [
  {
    name: "Upgrade is a list",
    source: "RFC 9110 §7.8",
    why: "A client may name several protocols, in any of several fields; ws wants the one word.",
    is: ({ request }) =>
      (request.match(/^upgrade[ \t]*:.*$/gim)?.length ?? 0) > 1 || /^upgrade:[^\r]*[,\t]/im.test(request),
  },
  {
    name: "empty elements of a list",
    source: "RFC 9110 §5.6.1.2",
    why: '"A recipient MUST parse and ignore a reasonable number of empty list elements", which ws and Node do not.',
    is: ({ request }) =>
      /^(sec-websocket-(protocol|extensions)|connection|upgrade)[ \t]*:[ \t]*(,|\r$)|,[ \t]*,|,[ \t]*\r$/im.test(
        request,
      ),
  },
  {
    name: "an offer that can't be taken",
    source: "RFC 7692 §7.1",
    why: '"A server MUST decline an extension negotiation offer" with a parameter that it does not know; the handshake goes on without it. ws refuses the request.',
    is: ({ request, theirs }) =>
      theirs === 400 && /^sec-websocket-extensions[ \t]*:.*permessage-deflate/im.test(request),
  },
];

/** What both made of a value of Sec-WebSocket-Extensions. */
export interface ExtensionVerdicts {
  readonly value: string;
  readonly ours: boolean;
  readonly theirs: boolean;
}

export const EXTENSION_DIFFERENCES: readonly Difference<ExtensionVerdicts>[] = [
  {
    name: "empty elements of a list",
    source: "RFC 6455 §9.1, RFC 2616 §2.1",
    why: '"Empty elements are allowed, but do not contribute to the count of elements present", which ws refuses.',
    is: ({ value, ours }) => ours && /^[ \t]*,|,[ \t]*,|,[ \t]*$|^[ \t]*$/.test(value),
  },
  {
    name: "whitespace between any two parts",
    source: "RFC 6455 §9.1, RFC 2616 §2.1",
    why: "The grammar is that of RFC 2616, in which whitespace may stand between any two tokens, around an equals sign and around the list, too.",
    is: ({ value, ours }) => ours && /^[ \t]|[ \t]=|=[ \t]|[ \t]$/.test(value),
  },
];
