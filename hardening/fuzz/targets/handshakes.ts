import {
  acceptUpgrade,
  clientDeflate,
  ClientHandshake,
  type ClientHandshakeProgress,
  PROTOCOL_ERRORS,
  type ProtocolErrorCode,
  RequestHeadParser,
  serverDeflate,
  ServerHandshake,
  type ServerHandshakeProgress,
  type WebSocketError,
} from "@tungstate/protocol";
import { createHash } from "node:crypto";
import { requestHead, responseHead } from "../generate/heads.ts";
import { hashOf, Random } from "../random.ts";
import { check, cutsOf, inPieces, type Target } from "../target.ts";

const sha1 = (bytes: Uint8Array): Uint8Array => createHash("sha1").update(bytes).digest();

const LIMITS = { maxHeadSize: 4096, maxHeaders: 100, maxParts: Infinity };
const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

/**
 * Checks that an error is in the table, is the peer's fault, and has no control characters in its
 * message.
 */
function checkError(error: WebSocketError, server: boolean): void {
  check(Object.hasOwn(PROTOCOL_ERRORS, error.code), () => `${error.code} is not in the table`);
  check(error.fault === "peer" || error.code === "CONNECTION_LOST", () => `${error.code} is not a fault of the peer`);
  check(!server || error.status !== undefined, () => `${error.code} has no status`);
  check(
    /^[ -~]*$/.test(error.message) && error.message.length < 1000,
    () => `the message ${JSON.stringify(error.message)}`,
  );
}

/** Describes a server's result for a request as text. */
export function serverResult(
  bytes: Uint8Array,
  cuts: readonly number[],
): { readonly text: string; readonly code: ProtocolErrorCode | undefined; readonly accepted: boolean } {
  const handshake = new ServerHandshake({ sha1, limits: LIMITS, extensions: [serverDeflate()] });
  let last: Exclude<ServerHandshakeProgress, { state: "more" }> | undefined;
  let behind = 0;
  inPieces(bytes, cuts, (piece) => {
    if (last?.state === "refused") return;
    const progress = handshake.receive(piece);
    if (last !== undefined) behind += piece.length;
    if (progress.state !== "more") last = progress;
  });
  if (last === undefined) {
    check(bytes.length < LIMITS.maxHeadSize, "more than maxHeadSize bytes without a result");
    return { text: "more", code: undefined, accepted: false };
  }
  if (last.state === "refused") {
    checkError(last.error, true);
    const response = latin1(last.response);
    check(
      /^HTTP\/1\.1 [45]\d\d [ -~]+\r\n([!-9;-~]+: [ -~]*\r\n)+\r\n[^]*$/.test(response),
      () => `the response ${JSON.stringify(response)}`,
    );
    return {
      text: `${last.error.code} ${last.error.message}\n${response}`,
      code: last.error.code,
      accepted: false,
    };
  }
  check(last.state === "request", "a WebSocket handshake was passed on");
  const { request } = last;
  check(
    /^[A-Za-z0-9+/]{22}==$/.test(request.key) && !/[\r\n\0]/.test(request.target + request.host),
    "an invalid request",
  );
  const accepted = acceptUpgrade(request, { sha1, extensions: [serverDeflate()] }, { protocol: request.protocols[0] });
  const rest = handshake.release();
  check(rest.length >= behind, "bytes after the request were lost");
  checkClientTakes(request.key, accepted.response, request.protocols);
  const { key, target, host, origin, protocols, offers } = request;
  return {
    text: JSON.stringify([key, target, host, origin, protocols, offers, latin1(rest), latin1(accepted.response)]),
    code: undefined,
    accepted: true,
  };
}

/** A parser has all bytes of a request that an HTTP server is to get. */
function checkReceived(bytes: Uint8Array, cuts: readonly number[]): void {
  const parser = new RequestHeadParser(LIMITS);
  let received = "";
  let ended = false;
  inPieces(bytes, cuts, (piece) => {
    if (ended) return;
    received += latin1(piece);
    ended = parser.receive(piece).state !== "more";
    if (ended) check(latin1(parser.received(piece)) === received, "bytes before a request were lost");
  });
}

/** A client that sent the offer must accept the server's response. */
function checkClientTakes(key: string, response: Uint8Array, protocols: readonly string[]): void {
  // our clients do not generate a key with bits after its last byte
  if (Buffer.from(key, "base64").toString("base64") !== key) return;
  const client = new ClientHandshake({
    host: "example.com",
    target: "/",
    protocols,
    extensions: [clientDeflate({ serverContextTakeover: true, clientContextTakeover: true })],
    random: (target) => target.set(Buffer.from(key, "base64")),
    sha1,
  });
  const progress = client.receive(response);
  // the offer may differ from that of this client
  const otherOffer = progress.state === "failed" && progress.error.code === "UNREQUESTED_EXTENSION";
  check(progress.state === "open" || otherOffer, () => `the client does not accept the response: ${latin1(response)}`);
}

export const requests: Target = {
  name: "requests",
  about: "handshakes received by a server: equal whole and in chunks, errors of the table, valid responses, limits",
  inputs: 300_000,
  generate: requestHead,
  run(input) {
    const whole = serverResult(input, [input.length]);
    const cuts = cutsOf(input.length, new Random(hashOf(input)));
    const pieces = serverResult(input, cuts);
    checkReceived(input, cuts);
    check(whole.text === pieces.text, () => `in pieces (${cuts.join()}) ${pieces.text}, whole ${whole.text}`);
  },
};

function clientResult(bytes: Uint8Array, cuts: readonly number[]): string {
  const handshake = new ClientHandshake({
    host: "example.com",
    target: "/",
    protocols: ["chat", "super"],
    extensions: [clientDeflate()],
    random: (target) => target.set(Buffer.from("the sample nonce")),
    sha1,
    limits: LIMITS,
    maxBodySize: 100,
  });
  let last: Exclude<ClientHandshakeProgress, { state: "more" }> | undefined;
  const behind: Uint8Array[] = [];
  const take = (progress: ClientHandshakeProgress): void => {
    if (progress.state !== "more") last = progress;
  };
  inPieces(bytes, cuts, (piece) => {
    if (last === undefined) take(handshake.receive(piece));
    else behind.push(piece.slice());
  });
  if (last === undefined) take(handshake.end());
  check(last !== undefined, "the end of the stream is not the end of the handshake");
  if (last.state === "failed") {
    checkError(last.error, false);
    return `${last.error.code} ${last.error.message}`;
  }
  if (last.state === "rejected") {
    checkError(last.error, false);
    const { status, reason, headers, body, truncated } = last.response;
    check(body.length <= 100, () => `${body.length} bytes of a body are kept`);
    return JSON.stringify([status, reason, [...headers], latin1(body), truncated]);
  }
  const { protocol, extensionsHeader, headers, rest } = last;
  check(["", "chat", "super"].includes(protocol), "a subprotocol that was not offered");
  return JSON.stringify([protocol, extensionsHeader, [...headers], latin1(Buffer.concat([rest, ...behind]))]);
}

export const responses: Target = {
  name: "responses",
  about: "responses received by a client: equal whole and in chunks, errors of the table, limits of head and body",
  inputs: 300_000,
  generate: responseHead,
  run(input) {
    const whole = clientResult(input, [input.length]);
    const cuts = cutsOf(input.length, new Random(hashOf(input)));
    const pieces = clientResult(input, cuts);
    check(whole === pieces, () => `in pieces (${cuts.join()}) ${pieces}, whole ${whole}`);
  },
};
