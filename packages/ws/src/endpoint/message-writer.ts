import process from "node:process";
import type { MessageCodec } from "@tungstate/protocol";
import { compressedForm, deflateWithoutContext } from "@tungstate/protocol/internal";
import { Buffer } from "node:buffer";
import type { Callback } from "../constants.ts";
import { isBlob, sizeOf, toBuffer } from "../data.ts";
import type { Channel } from "./channel.ts";
import { callAll } from "./callbacks.ts";
import { sharedData } from "./shared-data.ts";

const LARGEST_COPY = 4096; // bytes; larger payloads are not copied to the output

/** How a message is sent. */
export interface SendOptions {
  readonly binary: boolean;
  readonly compress: boolean;
  readonly fin: boolean;
  readonly mask: boolean;
}

/** A queued message or control frame. */
interface Task {
  readonly size: number;
  readonly callback: Callback | undefined;
  run(): Promise<void> | undefined;
}

/** The type and the compression of a message. */
interface Frame {
  readonly isText: boolean;
  readonly compress: boolean;
  readonly fin: boolean;
  readonly mask: boolean;
  /** Whether it is, or may be, one of several fragments. */
  readonly isFragment: boolean;
}

/** Notifications of a message writer to its WebSocket. */
export interface WriterHost {
  /** A message cannot be sent. */
  onWriteError(error: Error): void;
}

/**
 * Compresses messages and writes them to a channel in the order of the calls. Messages after one
 * that is still being compressed wait for it.
 */
export class MessageWriter {
  /**
   * Bytes that wait for compression or for a Blob, and bytes that were not sent because the
   * connection is closing.
   */
  heldSize = 0;
  private readonly channel: Channel;
  private readonly codec: MessageCodec | undefined;
  private readonly host: WriterHost;
  private waiting: Task[] | undefined;
  /** The callback of the message that is being compressed or read. */
  private inProgress: Callback | undefined;
  /** The first fragment of the message in progress. */
  private message: Frame | undefined;

  constructor(channel: Channel, codec: MessageCodec | undefined, host: WriterHost) {
    this.channel = channel;
    this.codec = codec;
    this.host = host;
  }

  /** Sends a message or a fragment. Throws a TypeError for data of another type. */
  send(data: unknown, { binary, compress, fin, mask }: SendOptions, callback: Callback | undefined): void {
    const { message } = this;
    const isFragment = message !== undefined || !fin;
    let frame: Frame = { isText: !binary, compress, fin, mask, isFragment };
    if (isFragment) {
      frame = message === undefined ? this.firstFragment(data, frame) : { ...message, fin, mask };
      this.message = fin ? undefined : frame;
    }
    if (typeof data === "string" || (data instanceof Uint8Array && Buffer.isBuffer(data))) {
      this.inTurn(data, frame, callback);
    } else if (isBlob(data)) this.blob(data, callback, (bytes) => this.put(bytes, frame, callback));
    else this.inTurn(toBuffer(data), frame, callback);
  }

  private firstFragment(data: unknown, frame: Frame): Frame {
    const { codec } = this;
    const compress = frame.compress && codec !== undefined && sizeOf(data) >= codec.engine.threshold;
    return { ...frame, compress };
  }

  private inTurn(data: string | Buffer, frame: Frame, callback: Callback | undefined): void {
    if (this.waiting !== undefined) this.hold(sizeOf(data), () => this.put(data, frame, callback), callback);
    else {
      const pending = this.put(data, frame, callback);
      if (pending !== undefined) this.wait(pending, sizeOf(data), callback);
    }
  }

  /** Sends a control frame. */
  control(opcode: 0x8 | 0x9 | 0xa, data: unknown, mask: boolean, callback: Callback | undefined): void {
    const send = (bytes: Buffer): undefined => this.channel.control(opcode, bytes, mask, callback) as undefined;
    if (isBlob(data)) return this.blob(data, callback, send);
    const bytes = toBuffer(data);
    if (this.waiting === undefined) send(bytes);
    else this.hold(bytes.length, () => send(bytes), callback);
  }

  /** Sends frames that the caller has encoded. */
  frames(list: readonly (Uint8Array | string)[], callback: Callback | undefined): void {
    this.channel.frames(list, callback);
  }

  /** Call at the end of the connection. Queued messages are dropped. */
  end(): void {
    const lost = this.takeCallbacks();
    this.codec?.close();
    if (lost.length > 0) callAll(lost, lostError());
  }

  // ---- one message

  private put(data: string | Buffer, frame: Frame, callback: Callback | undefined): Promise<void> | undefined {
    const { codec, channel } = this;
    if (frame.compress && codec !== undefined) return this.compressed(codec, data, frame, callback);
    if (frame.isFragment) {
      channel.fragment(bytesOf(data), frame.fin, frame.isText, false, frame.mask, callback);
    } else channel.message(data, frame.isText, frame.mask, callback);
    return undefined;
  }

  private compressed(
    codec: MessageCodec,
    data: string | Buffer,
    frame: Frame,
    callback: Callback | undefined,
  ): Promise<void> | undefined {
    const { isText, fin, mask, isFragment } = frame;
    const { channel } = this;
    if (isFragment) {
      const send = (deflated: Uint8Array): void => channel.fragment(deflated, fin, isText, true, mask, callback);
      const deflated = codec.deflateFragment(bytesOf(data), fin);
      if (deflated instanceof Promise) return deflated.then((bytes) => (bytes === undefined ? undefined : send(bytes)));
      return send(lasting(deflated)) as undefined;
    }
    const shared = mask ? undefined : sharedData.message(data, isText);
    if (shared !== undefined) {
      const form = compressedForm(shared, codec.deflateWindowBits, (payload, bits) =>
        deflateWithoutContext(codec.engine, payload, bits),
      );
      const send = (one: typeof shared): void => {
        channel.prepared(one, callback);
        if (one !== shared) codec.sentWithoutContext(shared.payload);
      };
      if (form instanceof Promise) return form.then(send);
      return send(form) as undefined;
    }
    const send = (deflated: Uint8Array | undefined): void => {
      if (deflated === undefined) channel.message(data, isText, mask, callback);
      else channel.compressed(deflated, isText, mask, callback);
    };
    const deflated = codec.deflate(data);
    if (deflated instanceof Promise) return deflated.then(send);
    return send(deflated === undefined ? undefined : lasting(deflated)) as undefined;
  }

  private blob(blob: Blob, callback: Callback | undefined, send: (bytes: Buffer) => Promise<void> | undefined): void {
    const read = async (): Promise<void> => {
      const bytes = Buffer.from(await blob.arrayBuffer());
      if (this.channel.destroyed) throw new Error("The socket was closed while the blob was being read");
      await send(bytes);
    };
    if (this.waiting !== undefined) this.hold(blob.size, read, callback);
    else this.wait(read(), blob.size, callback);
  }

  // ---- the order

  private hold(size: number, run: () => Promise<void> | undefined, callback: Callback | undefined): void {
    this.heldSize += size;
    this.waiting?.push({ size, run, callback });
  }

  private wait(pending: Promise<void>, size: number, callback: Callback | undefined): void {
    this.waiting ??= [];
    this.inProgress = callback;
    this.heldSize += size;
    pending.then(
      () => {
        this.heldSize -= size;
        if (this.channel.destroyed) return this.lose(lostError());
        this.inProgress = undefined;
        this.goOn();
      },
      (error: unknown) => this.fail(error instanceof Error ? error : new Error(String(error))),
    );
  }

  private goOn(): void {
    while (this.waiting !== undefined) {
      const task = this.waiting.shift();
      if (task === undefined) {
        this.waiting = undefined;
        return;
      }
      this.heldSize -= task.size;
      const pending = task.run();
      if (pending !== undefined) return this.wait(pending, task.size, task.callback);
    }
  }

  private fail(error: Error): void {
    this.lose(error);
    if (!this.channel.destroyed) process.nextTick(() => this.host.onWriteError(error));
  }

  /** Drops queued messages. */
  private lose(error: Error): void {
    for (const callback of this.takeCallbacks()) process.nextTick(callback, error);
  }

  /** Drops queued messages and returns their callbacks. */
  private takeCallbacks(): Callback[] {
    const { inProgress, waiting = [] } = this;
    this.inProgress = this.waiting = undefined;
    return [inProgress, ...waiting.map((task) => task.callback)].filter((callback) => callback !== undefined);
  }
}

function lostError(): Error {
  return new Error("The socket was closed while data was being compressed");
}

function bytesOf(data: string | Buffer): Buffer {
  return typeof data === "string" ? Buffer.from(data) : data;
}

/** Returns bytes that an output may refer to: large borrowed bytes are copied. */
function lasting(bytes: Uint8Array): Uint8Array {
  return bytes.length <= LARGEST_COPY ? bytes : new Uint8Array(bytes);
}
