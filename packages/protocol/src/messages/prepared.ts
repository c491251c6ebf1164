import { FIN, headerSize, OPCODE, RSV1, writeHeader } from "../frames/frame.ts";
import { invalidArgument } from "../arguments.ts";
import { primitives } from "../bytes/primitives.ts";

/**
 * A message encoded once for many connections. Servers send the frame as it is; a client has to mask each frame with a new key
 * (RFC 6455 §5.3) and so encodes the payload again.
 */
export class PreparedMessage {
  readonly type: "text" | "binary";
  /** Whether the payload was deflated, so that the frame has RSV1 (RFC 7692 §6.1). */
  readonly compressed: boolean;
  /** The payload, which must not be changed any more. */
  readonly payload: Uint8Array;
  /** The whole unmasked frame. */
  readonly frame: Uint8Array;
  /** The chain that holds nothing but this message; see Chain. */
  readonly chain: Chain;

  constructor(
    data: string | Uint8Array,
    options: { readonly compressed?: boolean; readonly type?: "text" | "binary" } = {},
  ) {
    const isText = typeof data === "string";
    if (!isText && !(data instanceof Uint8Array)) throw invalidArgument("a message", "a string or a Uint8Array", data);
    this.type = options.type ?? (isText ? "text" : "binary");
    if (this.type !== "text" && this.type !== "binary") {
      throw invalidArgument("the type of a message", '"text" or "binary"', this.type);
    }
    this.compressed = options.compressed === true;
    if (!isText && this.type === "text" && !this.compressed && !primitives.isUtf8(data)) {
      throw invalidArgument("the payload of a text message", "UTF-8", data);
    }
    const length = isText ? primitives.utf8Length(data) : data.length;
    const size = headerSize(length, false);
    const first = FIN | (this.compressed ? RSV1 : 0) | (this.type === "text" ? OPCODE.TEXT : OPCODE.BINARY);
    this.frame = primitives.allocate(size + length);
    const at = writeHeader(this.frame, 0, first, length, undefined);
    if (isText) primitives.writeUtf8(data, this.frame, at);
    else this.frame.set(data, at);
    this.payload = this.frame.subarray(size);
    this.chain = new Chain(undefined, this.frame);
  }
}

const LARGEST_JOIN = 128 * 1024; // bytes; a longer chain is handed over in pieces

/** What `with` answered last, so that a broadcast looks it up once. Dropped when its bytes are asked for: the broadcast is over. */
let lastBefore: Chain | undefined;
let lastNext: Chain | undefined;

/**
 * A sequence of prepared frames, shared by all outputs that hold the same sequence: adding the same frame to the same chain gives
 * the same next chain, and its bytes are joined once for all who send it. A broadcast to a thousand
 * connections costs each of them one pointer.
 */
export class Chain {
  readonly size: number;
  private readonly before: Chain | undefined;
  private readonly frame: Uint8Array;
  private joined: Uint8Array | undefined;
  /** Weak, or a message that is kept would keep all that was ever sent behind it. */
  private next: WeakRef<Chain> | undefined;

  constructor(before: Chain | undefined, frame: Uint8Array) {
    this.before = before;
    this.frame = frame;
    this.size = frame.length + (before === undefined ? 0 : before.size);
  }

  /** The chain with `frame` added. The last one made is remembered, which is the one that all others ask for in a broadcast. */
  with(frame: Uint8Array): Chain {
    if (lastBefore === this && lastNext?.frame === frame) return lastNext;
    let next = this.next?.deref();
    if (next === undefined || next.frame !== frame) {
      next = new Chain(this, frame);
      this.next = new WeakRef(next);
    }
    lastBefore = this;
    lastNext = next;
    return next;
  }

  /** All frames as one piece where that is reasonable, in order. */
  pieces(): Uint8Array | Uint8Array[] {
    if (this.before === undefined) return this.frame;
    if (lastNext === this) lastBefore = lastNext = undefined;
    if (this.joined !== undefined) return this.joined;
    if (this.size > LARGEST_JOIN) {
      const frames: Uint8Array[] = [];
      for (let chain: Chain | undefined = this; chain !== undefined; chain = chain.before) frames.push(chain.frame);
      return frames.reverse();
    }
    const joined = primitives.allocate(this.size);
    let at = this.size;
    for (let chain: Chain | undefined = this; chain !== undefined; chain = chain.before) {
      at -= chain.frame.length;
      joined.set(chain.frame, at);
    }
    this.joined = joined;
    return joined;
  }
}
