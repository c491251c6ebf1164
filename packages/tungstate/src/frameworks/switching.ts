import type { OutgoingHttpHeader, ServerResponse } from "node:http";

/** Header fields of a response, as the application gives them. */
export type ResponseHeaders = readonly (readonly [name: string, value: OutgoingHttpHeader])[];

const SWITCHING_PROTOCOLS = 101;

/**
 * Status and header field that stand for 101 where a response cannot have that status: a Response
 * of the Fetch standard has 200 to 599.
 */
export const SWITCH_BY_HEADER = { status: 200, headers: { upgrade: "websocket" } } as const;

/**
 * The response to an upgrade request. The application may write any response. After `onSwitch`, a
 * response with the status 101 (or `SWITCH_BY_HEADER`) is not written; its header fields are passed
 * to the callback, including those that hooks add when the head is written.
 */
export class SwitchingResponse {
  private readonly response: ServerResponse;
  private act: ((headers: ResponseHeaders) => void) | undefined;
  private headers: ResponseHeaders | undefined;

  constructor(response: ServerResponse) {
    this.response = response;
    this.intercept("writeHead", (args) => this.takesHead(args));
    this.intercept("end", () => this.takesEnd());
  }

  /**
   * Calls `takes` before a method. It is set on the object itself, because frameworks change its
   * prototype.
   */
  private intercept(method: "writeHead" | "end", takes: (args: readonly unknown[]) => boolean): void {
    const { response } = this;
    const original: unknown = Reflect.get(response, method);
    if (typeof original !== "function") return; // impossible: every response has these methods
    Reflect.set(response, method, (...args: unknown[]): unknown =>
      takes(args) ? response : Reflect.apply(original, response, args),
    );
  }

  /** Whether there is no response yet, and no callback of `onSwitch`. */
  get undecided(): boolean {
    return this.act === undefined && !this.response.writableEnded && !this.response.headersSent;
  }

  /**
   * Calls `act` when the response ends with a switch of protocols. It is not called if the response
   * is another one.
   */
  onSwitch(act: (headers: ResponseHeaders) => void): void {
    this.act = act;
  }

  private takesHead([status, ...rest]: readonly unknown[]): boolean {
    if (this.act === undefined) return false;
    const headers = allHeaders(this.response, rest.at(-1));
    if (status !== SWITCHING_PROTOCOLS && !isSwitchByHeader(status, headers)) {
      this.act = undefined; // a hook responds with another status
      this.headers = undefined;
      return false;
    }
    this.response.statusCode = SWITCHING_PROTOCOLS;
    this.headers = headers;
    return true;
  }

  private takesEnd(): boolean {
    if (this.act === undefined) return false;
    if (this.headers === undefined) this.response.writeHead(this.response.statusCode);
    const { act, headers } = this;
    if (act === undefined || headers === undefined) return false;
    this.act = undefined;
    // the response has ended: later writes are dropped without an `error` event
    Reflect.set(this.response, "finished", true);
    this.response.destroyed = true;
    act(headers);
    return true;
  }
}

function isSwitchByHeader(status: unknown, headers: ResponseHeaders): boolean {
  const upgrade = headers.find(([name]) => name.toLowerCase() === "upgrade");
  return status === SWITCH_BY_HEADER.status && upgrade?.[1] === SWITCH_BY_HEADER.headers.upgrade;
}

/** Returns the fields that were set, overridden by those given to `writeHead`. */
function allHeaders(response: ServerResponse, given: unknown): ResponseHeaders {
  const last = [...pairsOf(given)];
  const names = new Set(last.map(([name]) => name.toLowerCase()));
  const first = pairsOf(response.getHeaders()).filter(([name]) => !names.has(name.toLowerCase()));
  return [...first, ...last];
}

/** `writeHead` takes an object, an array of pairs, or alternating names and values. */
function pairsOf(headers: unknown): [name: string, value: OutgoingHttpHeader][] {
  if (typeof headers !== "object" || headers === null) return [];
  if (!Array.isArray(headers)) {
    return Object.entries(headers).filter((pair): pair is [string, OutgoingHttpHeader] => pair[1] !== undefined);
  }
  const flat: unknown[] = headers.flatMap((each: unknown) => each);
  const pairs: [string, OutgoingHttpHeader][] = [];
  for (let at = 0; at + 1 < flat.length; at += 2) pairs.push([String(flat[at]), String(flat[at + 1])]);
  return pairs;
}
