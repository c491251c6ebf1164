import { protocolError, ServerHandshake, type UpgradeRequest, WebSocketError } from "@tungstate/protocol";
import type { Clock } from "../schedule/clock.ts";
import { openConnection } from "../connection/connection.ts";
import type { Agreed, Driver } from "../connection/driver.ts";
import { NOWHERE, type Timed } from "../schedule/deadlines.ts";
import { type ConnectionSettings } from "../connection/options.ts";
import { releaseStream } from "../transport/of.ts";
import type { Transport, TransportSink } from "../transport/transport.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { type Admission, type Admitted, RefusedError } from "./admission/admission.ts";
import { serverError } from "./errors.ts";
import type { HandshakeRequest, RequestOrigin } from "./admission/request.ts";
import { describe } from "../options/describe.ts";
import { endpointError } from "../errors.ts";

export interface AcceptedConnection {
  readonly driver: Driver;
  readonly request: HandshakeRequest;
}

/** Notified of the results of handshakes, once for each. */
export interface AcceptingOwner {
  accepted(accepting: Accepting, accepted: AcceptedConnection): void;
  /** The client has got its response, or is gone. */
  failed(accepting: Accepting, error: WebSocketError): void;
  /** It is not a handshake: the HTTP server of its origin gets the connection. */
  passed(accepting: Accepting): void;
}

/** Called with the connection of one handshake, or undefined if there is none. */
export type Done = (connection: WebSocketConnection | undefined) => void;

/**
 * A server's handshake on one transport. If there is nothing to wait for, the connection exists in
 * the tick of the last byte of the request.
 */
export class Accepting implements TransportSink, Timed {
  readonly deadline: number;
  slot = NOWHERE; // as a Timed
  readonly done: Done | undefined;
  /** Frees the place that the handshake occupies among those of its address. */
  leave: (() => void) | undefined;
  private readonly transport: Transport;
  private readonly admission: Admission;
  private readonly settings: ConnectionSettings;
  private readonly from: RequestOrigin;
  private readonly owner: AcceptingOwner;
  /** From the first byte of the request on. */
  private handshake: ServerHandshake | undefined;
  private abort: AbortController | undefined;
  private begun = false;
  /** Bytes after the request, while `authorize` is pending. */
  private behind: Uint8Array[] | undefined;
  private behindSize = 0;
  private over = false;

  constructor(
    transport: Transport,
    admission: Admission,
    settings: ConnectionSettings,
    from: RequestOrigin,
    owner: AcceptingOwner,
    done?: Done,
  ) {
    this.transport = transport;
    this.admission = admission;
    this.settings = settings;
    this.from = from;
    this.owner = owner;
    this.done = done;
    this.deadline = settings.clock.now() + admission.timeout;
    settings.deadlines.watch(this);
    from.http?.begin(this);
  }

  /** Whether a part of a request has been received that may be one for the HTTP server. */
  get mayPass(): boolean {
    return this.from.http !== undefined && this.handshake !== undefined && this.behind === undefined;
  }

  /** Reads the request from the transport. */
  begin(): void {
    if (this.over || this.begun) return;
    this.begun = true;
    this.transport.start(this);
  }

  onBytes(chunk: Uint8Array, start: number, end: number): void {
    if (this.over) return;
    if (this.behind !== undefined) {
      this.keep(chunk, start, end);
      return;
    }
    const handshake = (this.handshake ??= new ServerHandshake(this.from.http?.handshake ?? this.admission.handshake));
    const progress = handshake.receive(chunk.subarray(start, end));
    if (progress.state === "refused") this.fail(new RefusedError(progress.error, undefined, progress.response));
    else if (progress.state === "request") this.decide(progress.request, () => handshake.release());
    else if (progress.state === "passed") this.pass(progress.bytes);
  }

  private pass(bytes: Uint8Array): void {
    if (!this.finish()) return;
    this.owner.passed(this);
    this.from.http?.take(releaseStream(this.transport), bytes);
    this.from.http?.end(this);
  }

  private keep(chunk: Uint8Array, start: number, end: number): void {
    this.behindSize += end - start;
    if (this.behindSize <= MAX_BEHIND) this.behind?.push(new Uint8Array(chunk.subarray(start, end)));
    else this.fail(new RefusedError(protocolError("TOO_MUCH_EARLY_DATA", `more than ${MAX_BEHIND} bytes`)));
  }

  onWritten(): void {
    // impossible: nothing is written before the end
  }

  onEnd(): void {
    const isIncomplete = this.handshake !== undefined && this.behind === undefined;
    this.fail(isIncomplete ? incompleteRequest() : serverError("REQUEST_LOST"));
  }

  onClosed(cause?: Error): void {
    this.fail(serverError("REQUEST_LOST", cause?.message, { cause }));
  }

  onDeadline(): void {
    const limit = `${this.admission.timeout} ms`;
    this.fail(new RefusedError(serverError(this.behind === undefined ? "ACCEPT_TIMEOUT" : "AUTHORIZE_TIMEOUT", limit)));
  }

  /** Answers a request that was read here or elsewhere. `early` returns the bytes after it. */
  decide(upgrade: UpgradeRequest, early: () => Uint8Array): void {
    if (this.over) return;
    try {
      const admitted = this.admission.admit(upgrade, this.from, () => (this.abort ??= new AbortController()).signal);
      if (!(admitted instanceof Promise)) {
        this.accept(admitted, early);
        return;
      }
      // read on, so that the end of the client is noticed
      this.behind = [];
      this.begin();
      admitted.then(
        (late) => this.accept(late, () => Buffer.concat([early(), ...(this.behind ?? [])])),
        (error: unknown) => this.fail(error),
      );
    } catch (error) {
      this.fail(error);
    }
  }

  private accept({ request, accepted }: Admitted, early: () => Uint8Array): void {
    if (!this.finish()) return;
    this.from.http?.end(this);
    const codec = this.settings.deflate?.codecFor(accepted.extensions, "server");
    const { protocol, extensionsHeader: extensions } = accepted;
    const agreed = protocol === "" && extensions === "" ? NOTHING_AGREED : { protocol, extensions, codec };
    const { headers } = request;
    const driver = openConnection(this.transport, this.settings, agreed, headers, early(), accepted.response);
    this.owner.accepted(this, { driver, request });
  }

  /** Sends the refusal, if there is one, and ends the transport. */
  fail(error: unknown): void {
    if (!this.finish()) return;
    this.from.http?.end(this);
    this.abort?.abort(error);
    if (error instanceof RefusedError) sayAndEnd(this.transport, error.response, this.settings.clock);
    else this.transport.destroy();
    this.owner.failed(
      this,
      error instanceof WebSocketError ? error : endpointError("HANDLER_FAILED", describe(error), { cause: error }),
    );
  }

  terminate(): void {
    this.fail(serverError("SERVER_CLOSING"));
  }

  private finish(): boolean {
    if (this.over) return false;
    this.over = true;
    this.settings.deadlines.forget(this);
    return true;
  }
}

/**
 * The client has ended its half of the stream within the head of its request, and may read on. RFC 9112 §8: "A server that receives an
 * incomplete request message [...] MAY send an error response prior to closing the connection."
 */
function incompleteRequest(): RefusedError {
  const error = serverError("REQUEST_LOST", "the request ends within its head");
  return new RefusedError(error, { status: 400, body: "the request ends within its head\n" });
}

/** The result of most handshakes, shared by all of them. */
const NOTHING_AGREED: Agreed = { protocol: "", extensions: "" };
const MAX_BEHIND = 64 * 1024; // bytes; a client that keeps to RFC 6455 §4.1 sends none before it has its answer
const LINGER = 1_000; // ms that a refused client has to read its answer and hang up

/**
 * Sends the last bytes and ends the stream. Bytes that still arrive are read and dropped, so that a
 * reset does not destroy the response.
 */
export function sayAndEnd(transport: Transport, bytes: Uint8Array, clock: Clock): void {
  const cancel = clock.after(LINGER, () => transport.destroy());
  transport.start({
    onBytes: () => undefined,
    onWritten: () => undefined,
    onEnd: () => undefined,
    onClosed: () => cancel(),
  });
  transport.write(bytes);
  transport.end();
}
