import { isUtf8 } from "node:buffer";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { BINARY, CLOSE, closePayload, CONTINUATION, PING, PONG, TEXT } from "../cases/case.ts";
import type { Target } from "../targets/target.ts";
import { Deflater, Inflater } from "../wire/deflate.ts";
import { accept, type DeflateAgreement, offer, readAnswer } from "../wire/deflate-negotiation.ts";
import { type FrameHeader, FrameParser } from "../wire/frame-parser.ts";
import { encodeFrame } from "../wire/frame-writer.ts";
import { parseHead, request, response } from "../wire/http.ts";

/** The fault of an echo peer. None: a strict implementation, which passes every case. */
export interface Faults {
  readonly echo?: "changed" | "other type" | "twice" | "none" | "with RSV1";
  readonly pong?: "none" | "late" | "changed";
  /** Violations that it accepts. */
  readonly accepts?: readonly Leniency[];
  readonly utf8?: "unchecked" | "when whole";
  readonly masking?: "wrong";
  /**
   * How it handles a due Close: with another code, without a code, not at all, or by dropping the
   * connection.
   */
  readonly close?: number | "without code" | "none" | "dropped";
  readonly afterClose?: "goes on" | "sends more" | "stays open";
  readonly deflate?: "declined" | "context taken over" | "widest window";
  readonly handshake?: "wrong accept" | "none";
}

type Leniency =
  "rsv" | "opcodes" | "long control" | "fragmented control" | "orphans" | "interleaved" | "close payloads";

class Violation extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const NOTHING = [{ noContextTakeover: false, windowBits: 0 }];

class EchoPeer {
  readonly #socket: Socket;
  readonly #masks: boolean;
  readonly #faults: Faults;
  readonly #parser: FrameParser;
  readonly #deflater: Deflater | undefined;
  readonly #inflater: Inflater | undefined;
  readonly #late: Buffer[] = [];
  #header: FrameHeader | undefined;
  #payload: Buffer[] = [];
  #message: { readonly opcode: number; readonly compressed: boolean; readonly pieces: Buffer[] } | undefined;
  #utf8 = new TextDecoder("utf-8", { fatal: true });
  #closed = false;

  constructor(socket: Socket, isClient: boolean, faults: Faults, agreement: DeflateAgreement | undefined) {
    this.#socket = socket;
    this.#masks = isClient !== (faults.masking === "wrong");
    this.#faults = faults;
    if (agreement !== undefined) {
      const windowBits = faults.deflate === "widest window" ? 15 : agreement.sending.windowBits;
      const noContextTakeover = faults.deflate !== "context taken over" && agreement.sending.noContextTakeover;
      this.#deflater = new Deflater({ windowBits, noContextTakeover });
      this.#inflater = new Inflater(agreement.receiving);
    }
    this.#parser = new FrameParser({
      header: (header) => this.#begin(header),
      payload: (piece) => this.#take(piece),
      end: () => this.#end(),
    });
  }

  receive(chunk: Buffer): void {
    if (this.#closed && this.#faults.afterClose !== "goes on") return;
    try {
      this.#parser.push(chunk);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.#sendClose(error.code);
    }
  }

  #accepts(what: Leniency): boolean {
    return this.#faults.accepts?.includes(what) ?? false;
  }

  #begin(header: FrameHeader): void {
    const { rsv, opcode, fin, length } = header;
    this.#header = header;
    const rsvAllowed = this.#inflater !== undefined && (opcode === TEXT || opcode === BINARY) ? 4 : 0;
    if ((rsv & ~rsvAllowed) !== 0 && !this.#accepts("rsv")) throw new Violation(1002, "RSV");
    if ((opcode > BINARY && opcode < CLOSE) || opcode > PONG) {
      if (!this.#accepts("opcodes")) throw new Violation(1002, "opcode");
    } else if (opcode >= CLOSE) {
      if (length > 125 && !this.#accepts("long control")) throw new Violation(1002, "length");
      if (!fin && !this.#accepts("fragmented control")) throw new Violation(1002, "fragmented control");
    } else if (opcode === CONTINUATION) {
      if (this.#message === undefined && !this.#accepts("orphans")) throw new Violation(1002, "orphan");
      this.#message ??= { opcode: TEXT, compressed: false, pieces: [] };
    } else {
      if (this.#message !== undefined && !this.#accepts("interleaved")) throw new Violation(1002, "interleaved");
      this.#message ??= { opcode, compressed: rsv === 4 && rsvAllowed === 4, pieces: [] };
    }
  }

  #take(piece: Buffer): void {
    const opcode = this.#header?.opcode ?? 0;
    if (opcode > BINARY || this.#message === undefined) {
      this.#payload.push(piece);
      return;
    }
    this.#message.pieces.push(piece);
    if (this.#message.opcode === TEXT && !this.#message.compressed) this.#checkText(piece, false);
  }

  #checkText(piece: Buffer, isLast: boolean): void {
    if (this.#faults.utf8 !== undefined) return;
    try {
      this.#utf8.decode(piece, { stream: !isLast });
    } catch {
      throw new Violation(1007, "UTF-8");
    }
  }

  #end(): void {
    const { opcode, fin } = this.#header ?? { opcode: 0, fin: true };
    const payload = Buffer.concat(this.#payload);
    this.#payload = [];
    if (opcode === PING) this.#pong(payload);
    else if (opcode === CLOSE) this.#closing(payload);
    else if (opcode <= BINARY && fin) this.#whole();
  }

  #pong(payload: Buffer): void {
    const { pong } = this.#faults;
    if (pong === "late" && this.#message !== undefined) this.#late.push(payload);
    else if (pong !== "none") this.#send(PONG, pong === "changed" ? Buffer.alloc(payload.length) : payload);
  }

  #whole(): void {
    const message = this.#message;
    if (message === undefined) return;
    this.#message = undefined;
    const isText = message.opcode === TEXT;
    let payload = Buffer.concat(message.pieces);
    if (message.compressed && this.#inflater !== undefined) payload = Buffer.from(this.#inflater.inflate(payload));
    if (isText && !message.compressed) this.#checkText(Buffer.alloc(0), true);
    if (isText && this.#faults.utf8 !== "unchecked" && !isUtf8(payload)) throw new Violation(1007, "UTF-8");
    this.#echo(isText, payload);
    for (const late of this.#late.splice(0)) this.#send(PONG, late);
  }

  #echo(isText: boolean, payload: Buffer): void {
    const { echo } = this.#faults;
    if (echo === "none") return;
    const opcode = isText === (echo !== "other type") ? TEXT : BINARY;
    const changed =
      echo === "changed" ? Buffer.from(payload.map((byte, index) => (index === 0 ? byte ^ 1 : byte))) : payload;
    const bytes = this.#deflater?.compress(changed) ?? changed;
    const rsv = this.#deflater !== undefined || echo === "with RSV1" ? 4 : 0;
    const frame = encodeFrame({ opcode, rsv, payload: bytes }, this.#masks);
    this.#write(echo === "twice" ? Buffer.concat([frame, frame]) : frame);
  }

  #closing(payload: Buffer): void {
    const code = payload.length < 2 ? undefined : payload.readUInt16BE();
    const isCode =
      code === undefined || (code >= 1000 && code < 1012 && !(code >= 1004 && code <= 1006)) || code >= 3000;
    const isRight = payload.length !== 1 && isCode && (code ?? 0) < 5000 && isUtf8(payload.subarray(2));
    if (!isRight && !this.#accepts("close payloads"))
      throw new Violation(payload.length === 1 || !isCode ? 1002 : 1007, "");
    this.#sendClose(code);
  }

  #sendClose(due: number | undefined): void {
    const { close, afterClose } = this.#faults;
    if (this.#closed) return;
    this.#closed = true;
    if (close === "none") return;
    if (close === "dropped") {
      this.#socket.end();
      return;
    }
    const code = close === "without code" ? undefined : (close ?? due);
    this.#send(CLOSE, code === undefined ? Buffer.alloc(0) : Buffer.from(closePayload(code)));
    if (afterClose === "sends more") this.#send(TEXT, Buffer.from("more"));
    if (afterClose === "goes on") setImmediate(() => this.#socket.end());
    else if (afterClose !== "stays open") this.#socket.end();
  }

  #send(opcode: number, payload: Buffer): void {
    this.#write(encodeFrame({ opcode, payload }, this.#masks));
  }

  #write(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }
}

/**
 * A target on raw sockets. It shares the suite's frames and handshake, and is otherwise separate.
 */
export function echoTarget(faults: Faults = {}): Target {
  const sockets = new Set<Socket>();
  const begin = (socket: Socket, isClient: boolean, onHead: (head: Buffer) => EchoPeer | undefined): void => {
    let received = Buffer.alloc(0);
    let peer: EchoPeer | undefined;
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      if (peer !== undefined) {
        peer.receive(chunk);
        return;
      }
      received = Buffer.concat([received, chunk]);
      peer = onHead(received);
      const rest = parseHead(received)?.rest;
      if (peer !== undefined && rest !== undefined && rest.length > 0) peer.receive(rest);
    });
    if (isClient && faults.afterClose === "stays open") socket.allowHalfOpen = true;
  };

  return {
    name: "echo peer",

    async startServer() {
      const stays = faults.afterClose === "stays open" || faults.close === "none";
      const server = createServer({ noDelay: true, allowHalfOpen: stays }, (socket) => {
        begin(socket, false, (bytes) => {
          const head = parseHead(bytes)?.head;
          if (head === undefined || faults.handshake === "none") return undefined;
          const key = faults.handshake === "wrong accept" ? "wrong" : (head.fields.get("sec-websocket-key") ?? "");
          const offered = head.fields.get("sec-websocket-extensions") ?? "";
          const accepted = faults.deflate === "declined" ? undefined : accept(offered, NOTHING);
          socket.write(response(key, accepted?.answer ?? ""));
          return new EchoPeer(socket, false, faults, accepted?.agreement);
        });
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      return {
        port: (server.address() as AddressInfo).port,
        async close() {
          const closed = once(server, "close");
          server.close();
          for (const socket of sockets) socket.destroy();
          await closed;
        },
      };
    },

    async runClient(url, signal) {
      if (faults.handshake === "none") return;
      const { hostname, port } = new URL(url);
      const socket = connect({ host: hostname, port: Number(port), noDelay: true });
      const key = randomBytes(16).toString("base64");
      const preferences = faults.deflate === "declined" ? [] : NOTHING;
      signal.addEventListener("abort", () => socket.destroy());
      begin(socket, true, (bytes) => {
        const head = parseHead(bytes)?.head;
        if (head === undefined) return undefined;
        const agreement = readAnswer(head.fields.get("sec-websocket-extensions") ?? "", preferences);
        if (typeof agreement === "string") throw new Error(agreement);
        return new EchoPeer(socket, true, faults, agreement);
      });
      socket.write(request(new URL(url), key, offer(preferences)));
      await new Promise((resolve) => socket.on("close", resolve));
    },
  };
}
