import type { ProtocolErrorCode } from "@tungstate/protocol";

/**
 * Where ws and this project decide differently, and why. A difference that is on none of these
 * lists is a finding. A test checks that each row is shown by an input of the corpus.
 */

/** Results of both for the same frames. `undefined`: no error. */
export interface FrameResults {
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

export interface Difference<Results> {
  readonly name: string;
  /** The specification. */
  readonly source: string;
  readonly why: string;
  readonly is: (results: Results) => boolean;
}

/** Whether their result starts like ours: they continue where we have stopped. */
function theyGoOn({ ours, theirs }: FrameResults): boolean {
  return theirs.events.length >= ours.events.length && ours.events.every((event, at) => event === theirs.events[at]);
}

function weGoOn({ ours, theirs }: FrameResults): boolean {
  return ours.events.length >= theirs.events.length && theirs.events.every((event, at) => event === ours.events[at]);
}

export const FRAME_DIFFERENCES: readonly Difference<FrameResults>[] = [
  {
    name: "text is validated as it arrives",
    source: "RFC 6455 §8.1",
    why: "ws validates a text when it is complete; here an invalid byte ends the connection immediately. The Autobahn Testsuite calls that strict (6.4).",
    is: (results) => results.ours.code === "INVALID_UTF8" && theyGoOn(results),
  },
  {
    name: "lengths in their shortest form",
    source: "RFC 6455 §5.2",
    why: '"the minimal number of bytes MUST be used to encode the length", which ws does not check.',
    is: (results) => results.ours.code === "NON_MINIMAL_LENGTH" && theyGoOn(results),
  },
  {
    name: "the most significant bit of a length",
    source: "RFC 6455 §5.2",
    why: '"the most significant bit MUST be 0": 1002 here; ws treats it as another length that is too large: 1009.',
    is: ({ ours, theirs }) => ours.code === "INVALID_LENGTH" && theirs.close === 1009,
  },
  {
    name: "a Close is validated when it is complete",
    source: "RFC 6455 §5.5.1",
    why: "A Close of length 1 is an error for ws at the header, and here when its byte has arrived.",
    is: (results) =>
      results.theirs.message === "invalid payload length 1" && results.ours.close === undefined && weGoOn(results),
  },
];

/** Requests that are rejected here and accepted by ws, by the error here. */
export const REFUSED_HERE: Readonly<
  Partial<Record<ProtocolErrorCode, { readonly source: string; readonly why: string }>>
> = {
  MALFORMED_HEAD: {
    source: "RFC 9112 §2.2, §5",
    why: "Node's HTTP parser accepts some heads that are not HTTP/1.1: folded lines, spaces around names, other bytes in values.",
  },
  TOO_MANY_HEADERS: { source: "RFC 9110 §5.4", why: "maxHeaders is 100 here; Node's limit is 2,000." },
  INVALID_HOST: {
    source: "RFC 6455 §4.2.1",
    why: "exactly one valid Host; Node accepts any, and the first of several.",
  },
  UNSUPPORTED_VERSION: {
    source: "RFC 6455 §4.2.1",
    why: "exactly 13; ws accepts 8, and anything that JavaScript parses as one of these numbers.",
  },
  INVALID_ORIGIN: { source: "RFC 6454 §7.3", why: "at most one Origin; Node keeps the first of several." },
  UNEXPECTED_BODY: {
    source: "RFC 6455 §4.1",
    why: "frames follow the head; a declared body would be in between.",
  },
  UNSUPPORTED_HTTP_VERSION: { source: "RFC 6455 §4.2.1", why: '"An HTTP/1.1 or higher GET request".' },
};

/** Results of both for a request. */
export interface RequestResults {
  readonly request: string;
  readonly theirs: number;
}

/** Requests that ws rejects and that are accepted here. */
export const REFUSED_THERE: readonly Difference<RequestResults>[] = [
  {
    name: "Upgrade is a list",
    source: "RFC 9110 §7.8",
    why: "A client may name several protocols, in several fields; ws requires exactly one word.",
    is: ({ request }) =>
      (request.match(/^upgrade[ \t]*:.*$/gim)?.length ?? 0) > 1 || /^upgrade:[^\r]*[,\t]/im.test(request),
  },
  {
    name: "empty elements of a list",
    source: "RFC 9110 §5.6.1.2",
    why: '"A recipient MUST parse and ignore a reasonable number of empty list elements", which ws and Node do not do.',
    is: ({ request }) =>
      /^(sec-websocket-(protocol|extensions)|connection|upgrade)[ \t]*:[ \t]*(,|\r$)|,[ \t]*,|,[ \t]*\r$/im.test(
        request,
      ),
  },
  {
    name: "an offer that cannot be accepted",
    source: "RFC 7692 §7.1",
    why: '"A server MUST decline an extension negotiation offer" with an unknown parameter; the handshake continues without it. ws rejects the request.',
    is: ({ request, theirs }) =>
      theirs === 400 && /^sec-websocket-extensions[ \t]*:.*permessage-deflate/im.test(request),
  },
];

/** Results of both for a value of Sec-WebSocket-Extensions. */
export interface ExtensionResults {
  readonly value: string;
  readonly ours: boolean;
  readonly theirs: boolean;
}

export const EXTENSION_DIFFERENCES: readonly Difference<ExtensionResults>[] = [
  {
    name: "empty elements of a list",
    source: "RFC 6455 §9.1, RFC 2616 §2.1",
    why: '"Empty elements are allowed, but do not contribute to the count of elements present", which ws rejects.',
    is: ({ value, ours }) => ours && /^[ \t]*,|,[ \t]*,|,[ \t]*$|^[ \t]*$/.test(value),
  },
  {
    name: "whitespace between any two parts",
    source: "RFC 6455 §9.1, RFC 2616 §2.1",
    why: "The grammar is that of RFC 2616, which permits whitespace between any two tokens, including around an equals sign and around the list.",
    is: ({ value, ours }) => ours && /^[ \t]|[ \t]=|=[ \t]|[ \t]$/.test(value),
  },
];
