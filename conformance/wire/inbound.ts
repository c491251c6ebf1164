import { isUtf8 } from "node:buffer";
import { CLOSE, CONTINUATION, type Event, PING, PONG, TEXT } from "../cases/case.ts";
import type { Inflater } from "./deflate.ts";
import { type FrameHeader, FrameParser } from "./frame-parser.ts";

export interface ReceivedClose {
  /** Undefined: a Close without a code. */
  readonly code: number | undefined;
  readonly reason: Uint8Array;
}

export interface InboundHandler {
  event(event: Event): void;
  close(close: ReceivedClose): void;
  /** A violation by the remote. */
  violation(what: string): void;
}

export interface InboundOptions {
  /** Whether the remote must mask its frames. */
  readonly masked: boolean;
  readonly inflater: Inflater | undefined;
}

/** RFC 6455 §7.4.1, §7.4.2, and codes registered since. */
function isSendableCode(code: number): boolean {
  return (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999);
}

/** Checks what the remote sends as it arrives: any violation of RFC 6455 or RFC 7692. */
export class Inbound {
  readonly #handler: InboundHandler;
  readonly #options: InboundOptions;
  readonly #parser: FrameParser;
  #pieces: Buffer[] = [];
  #header: FrameHeader | undefined;
  #message: { readonly text: boolean; readonly compressed: boolean; readonly pieces: Buffer[] } | undefined;
  #closed = false;
  #broken = false;

  constructor(handler: InboundHandler, options: InboundOptions) {
    this.#handler = handler;
    this.#options = options;
    this.#parser = new FrameParser({
      header: (header) => {
        this.#header = header;
        const fault = this.#headerFault(header);
        if (fault !== undefined) this.#fail(fault);
      },
      payload: (piece) => this.#pieces.push(piece),
      end: () => this.#endOfFrame(),
    });
  }

  push(chunk: Buffer): void {
    if (!this.#broken) this.#parser.push(chunk);
  }

  #fail(what: string): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#handler.violation(what);
  }

  #headerFault({ fin, rsv, opcode, masked, length, minimal }: FrameHeader): string | undefined {
    if (masked !== this.#options.masked)
      return masked ? "a server sent a masked frame" : "a client sent an unmasked frame";
    if (!minimal) return "a length that is not in its shortest form";
    if (opcode >= CLOSE) {
      if (opcode > PONG) return `the reserved opcode ${opcode}`;
      if (!fin) return "a fragmented control frame";
      if (length > 125) return `a control frame of ${length} bytes`;
      return rsv === 0 ? undefined : `RSV = ${rsv} on a control frame`;
    }
    if (this.#closed) return "a data frame behind a Close";
    if (opcode > 2) return `the reserved opcode ${opcode}`;
    if (rsv !== 0 && !(rsv === 4 && opcode !== CONTINUATION && this.#options.inflater !== undefined))
      return `RSV = ${rsv}`;
    if (opcode === CONTINUATION && this.#message === undefined) return "a continuation of nothing";
    if (opcode !== CONTINUATION && this.#message !== undefined) return "a new message before the last one was finished";
    return undefined;
  }

  #endOfFrame(): void {
    const header = this.#header;
    const pieces = this.#pieces;
    this.#pieces = [];
    if (this.#broken || header === undefined) return;
    if (header.opcode >= CLOSE) {
      this.#control(header.opcode, Buffer.concat(pieces));
      return;
    }
    this.#message ??= { text: header.opcode === TEXT, compressed: header.rsv !== 0, pieces: [] };
    this.#message.pieces.push(...pieces);
    if (header.fin) this.#endOfMessage(this.#message);
  }

  #endOfMessage({ text, compressed, pieces }: { text: boolean; compressed: boolean; pieces: Buffer[] }): void {
    this.#message = undefined;
    let payload: Buffer = Buffer.concat(pieces);
    if (compressed && this.#options.inflater !== undefined) {
      try {
        payload = this.#options.inflater.inflate(payload);
      } catch (error) {
        this.#fail(`a compressed message that does not inflate as agreed: ${String(error)}`);
        return;
      }
    }
    if (text && !isUtf8(payload)) this.#fail("a text message that is not UTF-8");
    else this.#handler.event({ is: "message", text, payload });
  }

  #control(opcode: number, payload: Buffer): void {
    if (opcode !== CLOSE) {
      this.#handler.event({ is: opcode === PING ? "ping" : "pong", payload });
      return;
    }
    const code = payload.length >= 2 ? payload.readUInt16BE() : undefined;
    const reason = payload.subarray(2);
    if (this.#closed) this.#fail("a second Close");
    else if (payload.length === 1) this.#fail("a Close with a payload of one byte");
    else if (code !== undefined && !isSendableCode(code)) this.#fail(`a Close with the code ${code}`);
    else if (!isUtf8(reason)) this.#fail("a Close with a reason that is not UTF-8");
    else this.#handler.close({ code, reason });
    this.#closed = true;
  }
}
