import { protocolError, ServerHandshake, WebSocketError } from "@tungstate/protocol";
import { openConnection } from "../connection/connection.ts";
import type { Driver } from "../connection/driver/driver.ts";
import type { Agreed } from "../connection/driver/link.ts";
import { NOWHERE, type Timed } from "../schedule/deadlines.ts";
import { type ConnectionSettings } from "../connection/options.ts";
import type { Transport, TransportSink } from "../transport/transport.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import type { Admission, Admitted } from "./admission/admission.ts";
import { failedByApplication, RefusedError } from "./admission/refused.ts";
import type { OpeningRequest } from "./responder.ts";
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
    since = settings.clock.now(),
  ) {
    this.transport = transport;
    this.admission = admission;
    this.settings = settings;
    this.from = from;
    this.owner = owner;
    this.done = done;
    this.deadline = since + admission.timeout;
  }

  /** Reads the request from the transport. */
  begin(): void {
    if (this.over || this.begun) return;
    this.begun = true;
    this.settings.deadlines.watch(this);
    this.transport.start(this);
  }

  onBytes(chunk: Uint8Array, start: number, end: number): void {
    if (this.over) return;
    if (this.behind !== undefined) {
      this.keep(chunk, start, end);
      return;
    }
    const handshake = (this.handshake ??= new ServerHandshake(this.admission.handshake));
    const progress = handshake.receive(chunk.subarray(start, end));
    if (progress.state === "refused") this.fail(new RefusedError(progress.error, undefined, progress.response));
    else if (progress.state === "request") this.decide(progress.request, () => handshake.release());
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
    this.fail(isIncomplete ? endedRequest("the request ends within its head") : serverError("REQUEST_LOST"));
  }

  onClosed(cause?: Error): void {
    this.fail(serverError("REQUEST_LOST", cause?.message, { cause }));
  }

  onDeadline(): void {
    const limit = `${this.admission.timeout} ms`;
    this.fail(new RefusedError(serverError(this.behind === undefined ? "ACCEPT_TIMEOUT" : "AUTHORIZE_TIMEOUT", limit)));
  }

  /** Answers a request that was read here or elsewhere. `early` returns the bytes after it. */
  decide(opening: OpeningRequest, early: () => Uint8Array): void {
    if (this.over) return;
    try {
      const admitted = this.admission.admit(opening, this.from, () => (this.abort ??= new AbortController()).signal);
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
    if (this.over) return;
    const { responder } = this.from;
    let greeting: string | undefined;
    try {
      greeting = responder.accept(accepted);
    } catch (error) {
      this.fail(failedByApplication("RESPONSE_FAILED", error));
      return;
    }
    this.finish();
    const codec = this.settings.deflate?.codecFor(accepted.extensions, "server");
    const { protocol, extensionsHeader: extensions } = accepted;
    const { route } = responder;
    const isPlain = protocol === "" && extensions === "" && route === undefined;
    const agreed = isPlain ? NOTHING_AGREED : { protocol, extensions, codec, route };
    const { headers } = request;
    const driver = openConnection(this.transport, this.settings, agreed, headers, early(), greeting);
    this.owner.accepted(this, { driver, request });
  }

  /** Sends the refusal, if there is one, and ends the transport. */
  fail(error: unknown): void {
    if (!this.finish()) return;
    this.abort?.abort(error);
    if (error instanceof RefusedError) this.from.responder.refuse(error, this.transport, this.settings.clock);
    else this.transport.destroy();
    this.owner.failed(
      this,
      error instanceof WebSocketError ? error : endpointError("HANDLER_FAILED", describe(error), { cause: error }),
    );
  }

  private finish(): boolean {
    if (this.over) return false;
    this.over = true;
    this.settings.deadlines.forget(this);
    return true;
  }
}

/**
 * The client has ended its half of the stream and may read on. RFC 9112 §8: "A server that receives
 * an incomplete request message [...] MAY send an error response prior to closing the connection."
 */
export function endedRequest(detail: string): RefusedError {
  return new RefusedError(serverError("REQUEST_LOST", detail), { status: 400, body: `${detail}\n` });
}

/** The result of most handshakes, shared by all of them. */
const NOTHING_AGREED: Agreed = { protocol: "", extensions: "" };
const MAX_BEHIND = 64 * 1024; // bytes; RFC 6455 §4.1 allows none before the answer
