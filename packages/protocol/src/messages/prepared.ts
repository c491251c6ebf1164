import { invalidOption } from "../arguments.ts";
import type { Primitives } from "../bytes/primitives.ts";
import { checkUtf8, utf8Length, UTF8_START, writeUtf8 } from "../bytes/utf8.ts";
import { FIN, headerSize, OPCODE, RSV1, writeHeader } from "../frames/frame.ts";
import { Chain } from "../runtime/chain.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** The chain that holds nothing but this message. For the files of this package. */
export let chainOf: (message: PreparedMessage) => Chain;
/**
 * The compressed forms of a message by window size, filled by `compressedForm`. For the files of
 * this package.
 */
export let formsOf: (message: PreparedMessage) => CompressedForms;

/** The same message compressed for one window size, or the promise of it. */
export type CompressedForms = (PreparedMessage | Promise<PreparedMessage> | undefined)[];

/** How a message is prepared. */
export interface PreparedMessageOptions {
  /** Whether the payload is deflated already, with an empty window. Default false. */
  readonly compressed?: boolean;
  /** Default `text` for a string, `binary` for bytes. */
  readonly type?: "text" | "binary";
  /** Whose functions encode the message. Default portable ones. */
  readonly runtime?: Runtime;
}

type Encoder = Pick<Primitives, "allocate" | "isUtf8" | "utf8Length" | "writeUtf8">;

const PORTABLE: Encoder = {
  allocate: (size) => new Uint8Array(size),
  isUtf8: (bytes) => checkUtf8(bytes, 0, bytes.length, UTF8_START) === UTF8_START,
  utf8Length,
  writeUtf8,
};

/**
 * A message that is encoded once for many connections. A server sends the frame as it is; a client
 * has to mask each frame with a new key (RFC 6455 §5.3) and encodes the payload again.
 */
export class PreparedMessage {
  /** Whether the message is text or bytes. */
  readonly type: "text" | "binary";
  /** Whether the payload is deflated, so that the frame has RSV1 (RFC 7692 §6.1). */
  readonly compressed: boolean;
  /** The payload. Do not change it. */
  readonly payload: Uint8Array;
  /** The whole unmasked frame. Do not change it. */
  readonly frame: Uint8Array;
  readonly #chain: Chain;
  #forms: CompressedForms | undefined;

  static {
    chainOf = (message) => message.#chain;
    formsOf = (message) => (message.#forms ??= []);
  }

  /**
   * Copies and encodes `data`. Throws INVALID_ARGUMENT for data that is neither text nor bytes, and
   * for text given as bytes that are not UTF-8.
   */
  constructor(data: string | Uint8Array, options: PreparedMessageOptions = {}) {
    const { allocate, isUtf8, utf8Length, writeUtf8 } = options.runtime?.primitives ?? PORTABLE;
    const isText = typeof data === "string";
    if (!isText && !(data instanceof Uint8Array)) throw invalidOption("a message", "a string or a Uint8Array", data);
    this.type = options.type ?? (isText ? "text" : "binary");
    if (this.type !== "text" && this.type !== "binary") {
      throw invalidOption("the type of a message", '"text" or "binary"', this.type);
    }
    this.compressed = options.compressed === true;
    // RFC 6455 §5.6: "the "Payload data" is text data encoded as UTF-8"
    if (!isText && this.type === "text" && !this.compressed && !isUtf8(data)) {
      throw invalidOption("the payload of a text message", "UTF-8", data);
    }
    const length = isText ? utf8Length(data) : data.length;
    const size = headerSize(length, false);
    const first = FIN | (this.compressed ? RSV1 : 0) | (this.type === "text" ? OPCODE.TEXT : OPCODE.BINARY);
    this.frame = allocate(size + length);
    const at = writeHeader(this.frame, 0, first, length, undefined);
    if (isText) writeUtf8(data, this.frame, at);
    else this.frame.set(data, at);
    this.payload = this.frame.subarray(size);
    this.#chain = new Chain(undefined, this.frame);
  }
}
