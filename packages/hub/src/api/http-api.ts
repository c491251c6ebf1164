import { createHash, timingSafeEqual } from "node:crypto";
import { argumentError, checkNames } from "tungstate/internal";
import { COMMAND_ERRORS, CommandError, commandError } from "../codes.ts";
import { Fields } from "../json/fields.ts";
import type { Hub } from "../hub/hub.ts";
import { elementsOf, isDeeperThan, type JsonText, sliceAt } from "../json/json.ts";
import { parseInSlices } from "../json/json-slices.ts";
import { errorJson } from "../protocol/encode.ts";
import { prepareCall, type PreparedCall } from "./methods.ts";

const MAX_DEPTH = 256;
const LONG_BODY = 64 * 1024; // characters; shorter ones are parsed in less than a millisecond
const CALLS_AT_ONCE = 64; // of a parallel batch
const SHORTEST_KEY = 16; // characters

/** Options of `createHttpApi`. */
export interface HttpApiOptions {
  /** The API keys, each of at least 16 characters; list several while keys are changed. */
  readonly keys: readonly string[];
}

/** Header fields as node:http has them: names in lower case. */
export type ApiHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** A response of the HTTP API. */
export interface ApiResponse {
  /** The HTTP status code. */
  readonly status: number;
  /** Header fields, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body, as JSON. */
  readonly body: string;
}

/**
 * Handles one call. `method` is the part of the path after `/api/`, `body` is the JSON of a POST
 * request as text. Never rejects.
 *
 * Status 200 has a `result`, or an `error` if the call was valid and failed. 400: the body is
 * invalid, and nothing was done. 401: no key, or a wrong one. 404: no such method. With the header
 * `X-Centrifugo-Error-Mode: transport` each error has its own status and is the whole body.
 */
export interface HttpApi {
  (method: string, body: string, headers: ApiHeaders): Promise<ApiResponse>;
  /**
   * Returns the response to a request without a valid key; undefined if the key is valid. Call it
   * before you read a body: otherwise any client can make you hold its body in memory.
   */
  unauthorized(headers: ApiHeaders): ApiResponse | undefined;
}

/**
 * Creates the HTTP API of a hub, with the methods of Centrifugo's. Throws a TypeError without a
 * key, or for one that is too short.
 */
export function createHttpApi(hub: Hub, options: HttpApiOptions): HttpApi {
  checkNames(options, { keys: true }, "the HTTP API");
  if (options.keys.length === 0) throw argumentError(TypeError, "keys must contain at least one key");
  for (const { length } of options.keys) {
    if (length < SHORTEST_KEY) {
      throw argumentError(TypeError, `an API key must have at least ${SHORTEST_KEY} characters, got ${length}`);
    }
  }
  const digests = options.keys.map(digest);
  const unauthorized: HttpApi["unauthorized"] = (headers) =>
    isAuthorized(headers, digests) ? undefined : respond(401, `{"error":${errorJson(commandError("UNAUTHORIZED"))}}`);
  const call = async (method: string, body: string, headers: ApiHeaders): Promise<ApiResponse> => {
    const refusal = unauthorized(headers);
    if (refusal !== undefined) return refusal;
    try {
      return respond(200, method === "batch" ? await batch(hub, body) : await single(hub, method, body));
    } catch (error) {
      const reported = error instanceof CommandError ? error : commandError("INTERNAL", undefined, { cause: error });
      const { code } = reported;
      if (headers["x-centrifugo-error-mode"] === "transport") return respond(statusOf(code), errorJson(reported));
      const isFault = code === COMMAND_ERRORS.BAD_REQUEST.code || code === COMMAND_ERRORS.METHOD_NOT_FOUND.code;
      return respond(isFault ? statusOf(code) : 200, `{"error":${errorJson(reported)}}`);
    }
  };
  return Object.assign(call, { unauthorized });
}

async function single(hub: Hub, method: string, body: string): Promise<string> {
  const params = await parse(hub, body);
  return `{"result":${await prepareCall(hub, method, params, body)()}}`;
}

/** All calls are checked before the first one runs. */
async function batch(hub: Hub, body: string): Promise<string> {
  const request = new Fields(await parse(hub, body), "batch");
  request.only("commands", "parallel");
  const isParallel = request.boolean("parallel");
  const commands = request.array("commands");
  const texts = elementsOf(sliceAt(body, ["commands"]) ?? "[]");
  const loop = hub.operations.loop();
  try {
    const calls: PreparedCall[] = [];
    for (const [index, command] of commands.entries()) {
      if (loop.isOver()) await loop.next();
      calls.push(prepareCommand(hub, command, texts[index] ?? ""));
    }
    const replies: JsonText[] = [];
    const atOnce = isParallel ? CALLS_AT_ONCE : 1;
    for (let at = 0; at < calls.length; at += atOnce) {
      if (loop.isOver(atOnce)) await loop.next();
      const some = calls.slice(at, at + atOnce);
      replies.push((await Promise.all(some.map((call) => call()))).join(","));
    }
    return `{"replies":[${replies.join(",")}]}`;
  } finally {
    loop.end();
  }
}

/**
 * A command of a batch is an object with the method as its only key. Its reply has the same key, or
 * `error`.
 */
function prepareCommand(hub: Hub, command: unknown, text: JsonText): PreparedCall {
  const fields = new Fields(command, "a command");
  const methods = fields.keys();
  const [method] = methods;
  if (method === undefined || methods.length > 1) {
    throw commandError("BAD_REQUEST", `a command must have exactly one method, got ${methods.length}`);
  }
  const call = prepareCall(hub, method, fields.raw(method), sliceAt(text, [method]) ?? "");
  return async () => {
    try {
      return `{${JSON.stringify(method)}:${await call()}}`;
    } catch (error) {
      if (error instanceof CommandError) return `{"error":${errorJson(error)}}`;
      throw error;
    }
  };
}

/** Parses a long body in slices, so that other work continues meanwhile. */
async function parse(hub: Hub, body: string): Promise<unknown> {
  if (isDeeperThan(body, MAX_DEPTH))
    throw commandError("BAD_REQUEST", `the body must not be nested deeper than ${MAX_DEPTH}`);
  const loop = hub.operations.loop();
  try {
    return body.length > LONG_BODY ? await parseInSlices(body, loop) : (JSON.parse(body) as unknown);
  } catch (error) {
    throw commandError("BAD_REQUEST", "the body must be JSON", { cause: error });
  } finally {
    loop.end();
  }
}

/** Compares digests, so that the time depends neither on the length nor on the content of a key. */
function isAuthorized(headers: ApiHeaders, digests: readonly Buffer[]): boolean {
  const sent = digest(keyIn(headers));
  let isKnown = false;
  for (const each of digests) if (timingSafeEqual(sent, each)) isKnown = true;
  return isKnown;
}

function digest(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

function keyIn(headers: ApiHeaders): string {
  const own = headers["x-api-key"];
  if (typeof own === "string") return own;
  const { authorization } = headers;
  return typeof authorization === "string" ? (/^apikey (.*)$/i.exec(authorization)?.[1] ?? "") : "";
}

function statusOf(code: number): number {
  switch (code) {
    case COMMAND_ERRORS.UNKNOWN_CHANNEL.code:
    case COMMAND_ERRORS.METHOD_NOT_FOUND.code:
      return 404;
    case COMMAND_ERRORS.BAD_REQUEST.code:
    case COMMAND_ERRORS.NOT_AVAILABLE.code:
      return 400;
    case COMMAND_ERRORS.UNRECOVERABLE_POSITION.code:
      return 416;
    default:
      return 500;
  }
}

function respond(status: number, body: string): ApiResponse {
  return { status, headers: { "content-type": "application/json" }, body };
}
