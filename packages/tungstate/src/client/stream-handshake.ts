import { type ConnectHandshake, type Http2Fields, protocolError, type WebSocketError } from "@tungstate/protocol";
import type { ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { publishOpen } from "../connection/channels.ts";
import { openConnection } from "../connection/connection.ts";
import type { Driver } from "../connection/driver/driver.ts";
import type { ConnectionSettings } from "../connection/options.ts";
import { abortedError, connectError } from "../errors.ts";
import type { ClientSession, ResponseLimits } from "../http2/client/client-session.ts";
import type { HandshakeTime } from "../http2/client/handshake-time.ts";
import { CANCEL, nameOf, REFUSED_STREAM } from "../http2/error-codes.ts";
import { pairsOf } from "../http2/fields.ts";
import { Http2StreamTransport } from "../http2/stream-transport.ts";
import { onAbort } from "../schedule/abort-signal.ts";
import { HandshakeRejectedError, lostError, REJECTION_BODY_TIMEOUT } from "./client.ts";

/** A stream with its request, whose response has not come. */
export interface StreamOpening {
  readonly session: ClientSession;
  readonly stream: ClientHttp2Stream;
  readonly handshake: ConnectHandshake;
  readonly settings: ConnectionSettings;
  readonly time: HandshakeTime;
  readonly signal: AbortSignal;
}

const END_STREAM = 0x1; // RFC 9113 §6.2, a flag of HEADERS

/** As for HTTP/1.1: the bytes that are kept of the body of a response other than 200. */
const MAX_BODY_SIZE = 64 * 1024;

/**
 * Waits for the response on a stream and opens the connection. Returns "refused" if the server has
 * not processed the request. Rejects as `client` does; the stream is reset then.
 */
export function openOnStream(opening: StreamOpening): Promise<Driver | "refused"> {
  return new Promise((resolve, reject) => new StreamHandshake(opening, resolve, reject));
}

class StreamHandshake {
  private readonly opening: StreamOpening;
  private readonly resolve: (result: Driver | "refused") => void;
  private readonly reject: (error: Error) => void;
  private readonly forget: () => void;
  private cancelTimer: () => void;
  private over = false;
  /** The response that rejects, while its body arrives. */
  private rejection: { readonly error: WebSocketError; readonly body: RejectionBody } | undefined;

  constructor(opening: StreamOpening, resolve: (result: Driver | "refused") => void, reject: (error: Error) => void) {
    this.opening = opening;
    this.resolve = resolve;
    this.reject = reject;
    const { stream, settings, time, signal } = opening;
    time.begin(settings.clock.now());
    stream.on("response", this.onResponse);
    stream.on("close", this.onClose);
    this.cancelTimer = settings.clock.after(time.left, this.onTimeout);
    this.forget = onAbort(signal, this.onAbort);
    if (signal.aborted) this.onAbort();
  }

  private get tried() {
    return this.opening.session.opened.tried;
  }

  private finish(): void {
    this.over = true;
    const { stream } = this.opening;
    this.cancelTimer();
    this.forget();
    stream.off("response", this.onResponse);
    stream.off("close", this.onClose);
    stream.off("data", this.onData);
    stream.off("end", this.onEnd);
  }

  private fail(error: Error): void {
    if (this.over) return;
    this.finish();
    // RFC 8441 §5: "RST exceptions are represented with the RST_STREAM frame [...] with the CANCEL
    // error code"
    const { stream } = this.opening;
    stream.close(CANCEL);
    // a session that node:http2 has given up sends no RST_STREAM: its streams would stay open
    stream.destroy();
    this.reject(error);
  }

  private readonly onAbort = (): void => {
    this.fail(abortedError(this.opening.signal, { step: "handshake", tried: this.tried }));
  };

  private readonly onTimeout = (): void => {
    if (this.rejection !== undefined) return this.rejected(true);
    const { session, time } = this.opening;
    // its host may have vanished: the next attempt gets another connection
    session.retire();
    this.fail(connectError("HANDSHAKE_TIMEOUT", `${time.timeout} ms`, { tried: this.tried }));
  };

  /** The stream was reset, or its session has ended. */
  private readonly onClose = (): void => {
    const { session, stream } = this.opening;
    if (this.over) return;
    if (this.rejection !== undefined) return this.rejected(!stream.readableEnded);
    const { rstCode } = stream;
    if (rstCode === REFUSED_STREAM) {
      this.finish();
      this.resolve("refused");
      return;
    }
    const cause = session.cause ?? Object.assign(new Error(`RST_STREAM ${nameOf(rstCode)}`), { code: "ECONNRESET" });
    this.fail(lostError(cause, this.tried));
  };

  private readonly onResponse = (headers: IncomingHttpHeaders, flags: number, raw?: readonly string[]): void => {
    const { handshake, session, settings, stream } = this.opening;
    const fields = fieldsOf(headers, raw);
    const excess = checkLimits(fields, session.limits);
    if (excess !== undefined) return this.fail(excess);
    const result = handshake.receive(fields);
    if (result.state === "failed") {
      this.fail(result.error);
    } else if (result.state === "rejected") {
      const { error, status, headers: fields } = result;
      this.rejection = { error, body: { status, headers: fields, chunks: [], size: 0 } };
      this.readBody();
    } else if ((flags & END_STREAM) !== 0) {
      this.fail(connectError("HANDSHAKE_CLOSED", "the response has END_STREAM", { tried: this.tried }));
    } else {
      this.finish();
      const { opened, number } = session;
      const transport = new Http2StreamTransport(stream, session.session);
      const codec = settings.deflate?.codecFor(result.extensions, "client");
      const { protocol, extensionsHeader: extensions } = result;
      const route = { ...opened.route, httpVersion: "2", session: number } as const;
      const agreed = { protocol, extensions, codec, route, tls: opened.tls };
      const driver = openConnection(transport, settings, agreed, result.headers, NO_BYTES);
      publishOpen(driver.connection, "client");
      driver.once("close", ({ error }) => {
        if (error?.code === "HEARTBEAT_TIMEOUT") session.retire();
      });
      this.resolve(driver);
    }
  };

  // ---- a response other than 200

  private readBody(): void {
    const { stream, settings, time } = this.opening;
    this.cancelTimer();
    this.cancelTimer = settings.clock.after(Math.min(time.left, REJECTION_BODY_TIMEOUT), this.onTimeout);
    stream.on("data", this.onData);
    stream.on("end", this.onEnd);
  }

  private readonly onData = (chunk: Uint8Array): void => {
    if (this.rejection === undefined) return;
    const { body } = this.rejection;
    const kept = chunk.subarray(0, MAX_BODY_SIZE - body.size);
    body.chunks.push(kept);
    body.size += kept.length;
    if (body.size === MAX_BODY_SIZE) this.rejected(true);
  };

  private readonly onEnd = (): void => this.rejected(false);

  private rejected(truncated: boolean): void {
    if (this.rejection === undefined) return;
    const { error, body } = this.rejection;
    const { status, headers, chunks } = body;
    // RFC 9113 §8.3.2: "HTTP/2 does not define a way to carry the [...] reason phrase"
    const response = { status, reason: "", headers, body: new Uint8Array(Buffer.concat(chunks)), truncated };
    this.fail(new HandshakeRejectedError(response, error));
  }
}

interface RejectionBody {
  readonly status: number;
  readonly headers: HandshakeRejectedError["response"]["headers"];
  readonly chunks: Uint8Array[];
  size: number;
}

/** RFC 9113 §6.5.2: the size of a field is that of name and value, "plus an overhead of 32 octets". */
const FIELD_OVERHEAD = 32;

/**
 * Holds a response to the limits. node:http2 applies them only once the server has acknowledged our
 * SETTINGS.
 */
function checkLimits(fields: Http2Fields, { maxHeadSize, maxHeaders }: ResponseLimits): WebSocketError | undefined {
  const count = fields.filter(([name]) => !name.startsWith(":")).length;
  if (count > maxHeaders) return protocolError("TOO_MANY_HEADERS", `more than ${maxHeaders}`);
  const size = fields.reduce((sum, [name, value]) => sum + name.length + value.length + FIELD_OVERHEAD, 0);
  return size > maxHeadSize ? protocolError("HEAD_TOO_BIG", `more than ${maxHeadSize}`) : undefined;
}

const NO_BYTES = new Uint8Array(0);

/** The fields of a response in their order, as node:http2 passes them in its third argument. */
function fieldsOf(headers: IncomingHttpHeaders, raw: readonly string[] | undefined): Http2Fields {
  if (Array.isArray(raw)) return pairsOf(raw);
  return Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [String(value)]).map((each) => [name, each] as const),
  );
}
