import { utf8Length } from "../bytes/utf8.ts";
import { protocolError, WebSocketError } from "../errors.ts";
import type { Data } from "../messages/data.ts";
import { Message } from "../messages/message.ts";
import { PreparedMessage } from "../messages/prepared.ts";
import { compressedForm } from "./compressed-form.ts";
import { deflateWithoutContext, type MessageCodec } from "./message-codec.ts";

/** Bytes; the output copies smaller payloads and refers to larger ones. */
const LARGEST_BORROWED = 4096;

/** The sending half of a protocol, as far as the queue reads it. */
export interface OutgoingState {
  /** Whether messages can be put into the output. */
  readonly writable: boolean;
  /** Whether further messages may be sent. */
  readonly accepts: boolean;
  /** The state of the protocol. */
  readonly state: string;
  /** The output, with its size in bytes. */
  readonly output: { readonly size: number };
  /** Bytes taken from the output and not written yet. */
  readonly inTransit: number;
  /** Whether a message in fragments is in progress. */
  readonly inMessage: boolean;
}

/** The limits of a connection that compresses. A ProtocolConfig has them. */
export interface DeflateLimits {
  readonly role: "client" | "server";
  /** As in ProtocolLimits. */
  readonly maxFrameSize: number;
  /** As in ProtocolLimits. */
  readonly maxWriteBufferSize: number;
}

/** What a queue calls. `to` is the protocol that it compresses for. */
export interface DeflateEvents<To> {
  /** Puts a message into the output as it is. */
  encode(to: To, data: Data): void;
  /** Puts a message into the output whose payload was compressed. */
  encodeCompressed(to: To, type: "text" | "binary", payload: Uint8Array): void;
  /** A queued message is in the output. */
  sent(to: To): void;
  /** A message that was accepted cannot be sent. */
  failed(to: To, error: WebSocketError): void;
}

/** Messages of a protocol with compression that wait to be sent. */
export interface OutgoingMessages {
  /** Bytes of the messages that wait, before compression. */
  readonly heldSize: number;
  /** Whether messages wait, or what was given to `inTurn`. */
  readonly busy: boolean;
  /** Whether all that is waited for is compression: not a promise of `inTurn`. */
  readonly isCompressing: boolean;
  /**
   * Calls `run` when all earlier messages are in the output: at once if none waits. If it returns a
   * promise, later messages wait for it: that is how to send a message in fragments.
   */
  inTurn(run: () => Promise<void> | undefined): void;
  /**
   * Compresses a fragment of a message that was begun as a compressed one. Returns undefined if the
   * connection is closed.
   */
  deflateFragment(payload: Uint8Array, last: boolean): Uint8Array | Promise<Uint8Array | undefined>;
  /** Drops what waits. */
  close(): void;
}

/**
 * A queued operation for `size` bytes. If `run` returns a promise, later operations wait for it.
 */
interface Task {
  readonly size: number;
  run(): Promise<void> | undefined;
}

/**
 * Compresses messages for a protocol and keeps their order: messages after one that is compressed
 * asynchronously wait for it.
 */
export class DeflateQueue implements OutgoingMessages {
  heldSize = 0;
  readonly #core: OutgoingState;
  readonly #codec: MessageCodec;
  readonly #limits: DeflateLimits;
  readonly #events: DeflateEvents<never>;
  readonly #to: never;
  #waiting: Task[] | undefined;
  /** Tasks of `inTurn` that wait or are in progress. */
  #foreign = 0;
  #closed = false;

  constructor(
    core: OutgoingState,
    codec: MessageCodec,
    limits: DeflateLimits,
    events: DeflateEvents<never>,
    to: unknown,
  ) {
    this.#core = core;
    this.#codec = codec;
    this.#limits = limits;
    this.#events = events;
    this.#to = to as never;
  }

  get busy(): boolean {
    return this.#waiting !== undefined;
  }

  get isCompressing(): boolean {
    return this.#waiting !== undefined && this.#foreign === 0;
  }

  /**
   * Sends a message in its turn, compressed if that makes it smaller. Throws what `Protocol.send`
   * throws, with nothing sent.
   */
  send(data: Data, compress = true): void {
    const core = this.#core;
    if (!core.accepts) throw protocolError("NOT_OPEN", `its state is "${core.state}"`);
    this.#checkRoom(data);
    if (this.#waiting !== undefined) {
      const kept = keep(data);
      this.#hold({ size: sizeOf(data), run: () => this.#sendNow(kept, compress) });
    } else {
      // checked before: the codec must not compress what is not sent
      if (core.inMessage) throw protocolError("MESSAGE_IN_PROGRESS");
      const pending = this.#sendNow(data, compress);
      if (pending !== undefined) this.#wait(pending, sizeOf(data));
    }
  }

  inTurn(run: () => Promise<void> | undefined): void {
    const end = (): void => {
      this.#foreign--;
    };
    const task = (): Promise<void> | undefined => {
      const pending = run();
      if (pending === undefined) end();
      return pending?.finally(end);
    };
    this.#foreign++;
    if (this.#waiting !== undefined) this.#hold({ size: 0, run: task });
    else {
      const pending = task();
      if (pending !== undefined) this.#wait(pending, 0);
    }
  }

  /** Calls `run` when all earlier messages are in the output: at once if none waits. */
  afterMessages(run: () => void): void {
    if (this.#waiting === undefined) run();
    else this.#hold({ size: 0, run: () => run() as undefined });
  }

  deflateFragment(payload: Uint8Array, last: boolean): Uint8Array | Promise<Uint8Array | undefined> {
    const deflated = this.#codec.deflateFragment(payload, last);
    // borrowed from the codec, and the fragment may have to wait for room
    return deflated instanceof Promise ? deflated : new Uint8Array(deflated);
  }

  close(): void {
    this.#closed = true;
    this.#waiting = undefined;
    this.heldSize = 0;
  }

  #checkRoom(data: Data): void {
    const core = this.#core;
    const waiting = core.output.size + core.inTransit + this.heldSize;
    const limit = this.#limits.maxWriteBufferSize;
    if (waiting === 0 || (typeof data === "string" && waiting + data.length * 3 <= limit)) return;
    const size = sizeOf(data);
    if (waiting + size > limit) {
      throw protocolError("WRITE_BUFFER_FULL", `${waiting} bytes are buffered, ${size} more would exceed ${limit}`);
    }
  }

  #hold(task: Task): void {
    this.heldSize += task.size;
    this.#waiting?.push(task);
  }

  #wait(pending: Promise<void>, size: number): void {
    this.#waiting ??= [];
    this.heldSize += size;
    void pending
      .catch((error: unknown) => this.#fail(error))
      .then(() => {
        if (this.#closed) return;
        this.heldSize -= size;
        this.#goOn();
      });
  }

  #goOn(): void {
    while (this.#waiting !== undefined) {
      const task = this.#waiting.shift();
      if (task === undefined) {
        this.#waiting = undefined;
        break;
      }
      this.heldSize -= task.size;
      try {
        const pending = task.run();
        if (pending !== undefined) {
          this.#wait(pending, task.size);
          break;
        }
      } catch (error) {
        this.#fail(error);
      }
    }
    this.#events.sent(this.#to);
  }

  /**
   * An accepted message cannot be sent: the connection is closing or closed, or this end has
   * failed.
   */
  #fail(error: unknown): void {
    if (!this.#core.writable) return;
    this.#events.failed(
      this.#to,
      error instanceof WebSocketError ? error : protocolError("DEFLATE_FAILED", String(error), { cause: error }),
    );
  }

  #sendNow(data: Data, compress: boolean): Promise<void> | undefined {
    const codec = this.#codec;
    if (data instanceof PreparedMessage && data.compressed) {
      this.#events.encode(this.#to, data);
      codec.resetDeflate(); // the peer's window has now what is not known here
      return undefined;
    }
    const type = typeof data === "string" ? "text" : data instanceof Uint8Array ? "binary" : data.type;
    if (!compress || (type === "binary" && !codec.engine.binary)) {
      this.#events.encode(this.#to, data);
      return undefined;
    }
    if (data instanceof PreparedMessage) {
      const form = compressedForm(data, codec.deflateWindowBits, (payload, bits) =>
        deflateWithoutContext(codec.engine, payload, bits),
      );
      if (form instanceof Promise) return form.then((one) => this.#sendForm(data, one));
      this.#sendForm(data, form);
      return undefined;
    }
    const deflated = codec.deflate(data);
    if (deflated instanceof Promise) {
      const kept = keep(data);
      return deflated.then((bytes) => this.#sendDeflated(kept, type, bytes));
    }
    this.#sendDeflated(data, type, deflated === undefined ? undefined : lasting(deflated));
    return undefined;
  }

  /**
   * Largest payload of a prepared message whose frame is sent as it is. A client masks each frame
   * with a new key.
   */
  get #largestShared(): number {
    return this.#limits.role === "server" ? this.#limits.maxFrameSize : 0;
  }

  #sendForm(message: PreparedMessage, form: PreparedMessage): void {
    if (form === message || form.payload.length <= this.#largestShared) this.#events.encode(this.#to, form);
    else this.#events.encodeCompressed(this.#to, form.type, form.payload);
    if (form !== message) this.#codec.sentWithoutContext(message.payload);
  }

  #sendDeflated(data: Data, type: "text" | "binary", deflated: Uint8Array | undefined): void {
    if (deflated === undefined) {
      this.#events.encode(this.#to, data);
      return;
    }
    try {
      this.#events.encodeCompressed(this.#to, type, deflated);
    } catch (error) {
      // the codec has added the message to the window, and the peer does not get it
      this.#codec.resetDeflate();
      throw error;
    }
  }
}

/** Returns bytes that the output may refer to: large borrowed bytes are copied. */
function lasting(bytes: Uint8Array): Uint8Array {
  return bytes.length <= LARGEST_BORROWED ? bytes : new Uint8Array(bytes);
}

/**
 * Returns data that may wait: the caller may transfer a message to another connection meanwhile.
 */
function keep(data: Data): Data {
  return data instanceof Message ? data.share() : data;
}

function sizeOf(data: Data): number {
  if (typeof data === "string") return utf8Length(data);
  if (data instanceof Uint8Array) return data.length;
  return data instanceof PreparedMessage ? data.payload.length : data.size;
}
