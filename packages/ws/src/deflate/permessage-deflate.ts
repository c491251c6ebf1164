import zlib from "node:zlib";
import type { ExtensionParams } from "../handshake/extension.ts";
import { receiveError } from "../errors.ts";
import { protocolError } from "@tungstate/protocol";

/** Options of permessage-deflate (RFC 7692), as ws has them. */
export interface PerMessageDeflateOptions {
  readonly serverNoContextTakeover?: boolean | undefined;
  readonly clientNoContextTakeover?: boolean | undefined;
  readonly serverMaxWindowBits?: number | boolean | undefined;
  readonly clientMaxWindowBits?: number | boolean | undefined;
  readonly zlibDeflateOptions?: zlib.ZlibOptions | undefined;
  readonly zlibInflateOptions?: zlib.ZlibOptions | undefined;
  readonly threshold?: number | undefined;
  readonly concurrencyLimit?: number | undefined;
  readonly isServer?: boolean | undefined;
  readonly maxPayload?: number | undefined;
}

/** Negotiated parameters: window sizes are numbers, flags are `true`. */
export type DeflateParameters = Record<string, string | number | boolean>;

const DEFAULT_THRESHOLD = 1024; // bytes
const TAIL = Buffer.of(0x00, 0x00, 0xff, 0xff); // RFC 7692 §7.2.1

type Done = (error: Error | null, data?: Buffer) => void;

/**
 * Negotiates permessage-deflate. It also has a pair of zlib streams for programs that use this
 * class directly. Connections do not use them.
 */
export class PerMessageDeflate {
  readonly options: PerMessageDeflateOptions;
  readonly threshold: number;
  readonly isServer: boolean;
  /** What was negotiated; null before. */
  params: DeflateParameters | null = null;
  private deflater: ZlibPipe | undefined;
  private inflater: ZlibPipe | undefined;

  constructor(options?: PerMessageDeflateOptions) {
    this.options = options ?? {};
    this.threshold = this.options.threshold ?? DEFAULT_THRESHOLD;
    this.isServer = this.options.isServer === true;
  }

  static get extensionName(): string {
    return "permessage-deflate";
  }

  // names that programs read

  get _options(): PerMessageDeflateOptions {
    return this.options;
  }

  get _threshold(): number {
    return this.threshold;
  }

  get _isServer(): boolean {
    return this.isServer;
  }

  /** Returns the parameters that a client offers. */
  offer(): DeflateParameters {
    const { serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits } = this.options;
    const params: DeflateParameters = {};
    if (serverNoContextTakeover) params["server_no_context_takeover"] = true;
    if (clientNoContextTakeover) params["client_no_context_takeover"] = true;
    if (serverMaxWindowBits) params["server_max_window_bits"] = serverMaxWindowBits;
    // without a value: this client can be told to use a smaller window
    if (clientMaxWindowBits ?? true) params["client_max_window_bits"] = clientMaxWindowBits ?? true;
    return params;
  }

  /**
   * Accepts one of a client's offers, or a server's response. Returns the negotiated parameters.
   * Throws an Error if none is acceptable.
   */
  accept(configurations: readonly ExtensionParams[]): DeflateParameters {
    const all = configurations.map((params) => this.normalize(params));
    const agreed = this.isServer ? this.acceptOffer(all) : this.acceptResponse(all[0] ?? {});
    this.params = agreed;
    return agreed;
  }

  private acceptOffer(offers: readonly DeflateParameters[]): DeflateParameters {
    const { options } = this;
    const accepted = offers.find((offer) => this.isAcceptable(offer));
    if (accepted === undefined) throw new Error("None of the extension offers can be accepted");
    if (options.serverNoContextTakeover) accepted["server_no_context_takeover"] = true;
    if (options.clientNoContextTakeover) accepted["client_no_context_takeover"] = true;
    if (typeof options.serverMaxWindowBits === "number") {
      accepted["server_max_window_bits"] = options.serverMaxWindowBits;
    }
    if (typeof options.clientMaxWindowBits === "number") {
      accepted["client_max_window_bits"] = options.clientMaxWindowBits;
    } else if (accepted["client_max_window_bits"] === true || options.clientMaxWindowBits === false) {
      delete accepted["client_max_window_bits"];
    }
    return accepted;
  }

  private isAcceptable(offer: DeflateParameters): boolean {
    const { serverNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits } = this.options;
    if (serverNoContextTakeover === false && offer["server_no_context_takeover"] === true) return false;
    const serverBits = offer["server_max_window_bits"];
    if (serverBits !== undefined) {
      if (serverMaxWindowBits === false) return false;
      if (typeof serverMaxWindowBits === "number" && serverMaxWindowBits > Number(serverBits)) return false;
    }
    if (typeof clientMaxWindowBits !== "number") return true;
    const clientBits = offer["client_max_window_bits"];
    return clientBits !== undefined && (typeof clientBits !== "number" || clientMaxWindowBits <= clientBits);
  }

  private acceptResponse(params: DeflateParameters): DeflateParameters {
    const { clientNoContextTakeover, clientMaxWindowBits } = this.options;
    if (clientNoContextTakeover === false && params["client_no_context_takeover"] === true) {
      throw new Error('Unexpected parameter "client_no_context_takeover"');
    }
    const bits = params["client_max_window_bits"];
    if (bits === undefined) {
      if (typeof clientMaxWindowBits === "number") params["client_max_window_bits"] = clientMaxWindowBits;
    } else if (
      clientMaxWindowBits === false ||
      (typeof clientMaxWindowBits === "number" && Number(bits) > clientMaxWindowBits)
    ) {
      throw new Error('Unexpected or invalid parameter "client_max_window_bits"');
    }
    return params;
  }

  /** The parameters with one value each, of its type. */
  private normalize(params: ExtensionParams): DeflateParameters {
    const normal = params as unknown as DeflateParameters;
    for (const [name, values] of Object.entries(params)) {
      if (values.length > 1) throw new Error(`Parameter "${name}" must have only a single value`);
      normal[name] = this.valueOf(name, values[0] ?? true);
    }
    return normal;
  }

  private valueOf(name: string, value: string | true): number | true {
    switch (name) {
      case "client_no_context_takeover":
      case "server_no_context_takeover":
        if (value === true) return true;
        break;
      case "client_max_window_bits":
      case "server_max_window_bits": {
        // in an offer, a client's window needs no value
        if (value === true && this.isServer && name === "client_max_window_bits") return true;
        const bits = value === true ? Number.NaN : Number(value);
        if (Number.isInteger(bits) && bits >= 8 && bits <= 15) return bits;
        break;
      }
      default:
        throw new Error(`Unknown parameter "${name}"`);
    }
    throw new TypeError(`Invalid value for parameter "${name}": ${value}`);
  }

  // ---- for programs that use this class directly

  /** Compresses a fragment of a message. */
  compress(data: Buffer | string, fin: boolean, callback: Done): void {
    this.deflater ??= new ZlibPipe(
      zlib.createDeflateRaw({ ...this.options.zlibDeflateOptions, windowBits: this.windowBits("server", "client") }),
      Infinity,
    );
    const pipe = this.deflater;
    pipe.run([Buffer.from(data)], (error, deflated) => {
      if (error !== null || deflated === undefined) return callback(error);
      if (fin && this.resets("server", "client")) pipe.reset();
      callback(null, fin ? deflated.subarray(0, deflated.length - TAIL.length) : deflated);
    });
  }

  /** Decompresses a fragment of a message. */
  decompress(data: Buffer, fin: boolean, callback: Done): void {
    const { maxPayload = 0 } = this.options;
    this.inflater ??= new ZlibPipe(
      zlib.createInflateRaw({ ...this.options.zlibInflateOptions, windowBits: this.windowBits("client", "server") }),
      maxPayload > 0 ? maxPayload : Infinity,
    );
    const pipe = this.inflater;
    pipe.run(fin ? [data, TAIL] : [data], (error, inflated) => {
      if (error !== null || pipe.isEnded) {
        pipe.close();
        this.inflater = undefined;
      } else if (fin && this.resets("client", "server")) pipe.reset();
      callback(error, inflated);
    });
  }

  /** Releases the zlib streams. */
  cleanup(): void {
    this.inflater?.close();
    this.deflater?.abort();
    this.inflater = this.deflater = undefined;
  }

  /** Whether each message of a direction begins with an empty window. */
  private resets(asServer: "server" | "client", asClient: "server" | "client"): boolean {
    return this.params?.[`${this.isServer ? asServer : asClient}_no_context_takeover`] === true;
  }

  /** Whether each message of this end begins with an empty window. */
  get resetsOwn(): boolean {
    return this.resets("server", "client");
  }

  private windowBits(asServer: "server" | "client", asClient: "server" | "client"): number {
    const bits = this.params?.[`${this.isServer ? asServer : asClient}_max_window_bits`];
    return typeof bits === "number" ? bits : zlib.constants.Z_DEFAULT_WINDOWBITS;
  }
}

/** A zlib stream that works on one piece of data at a time. */
class ZlibPipe {
  private readonly stream: zlib.DeflateRaw | zlib.InflateRaw;
  private readonly most: number;
  private parts: Buffer[] = [];
  private size = 0;
  private error: Error | null = null;
  private callback: Done | undefined;
  private last: Promise<void> = Promise.resolve();

  /** `most`: largest output of one message in bytes. */
  constructor(stream: zlib.DeflateRaw | zlib.InflateRaw, most: number) {
    this.stream = stream;
    this.most = most;
    stream.on("data", (part: Buffer) => {
      this.size += part.length;
      if (this.size <= most) this.parts.push(part);
      else this.error ??= receiveError(protocolError("MESSAGE_TOO_BIG"), TOO_BIG_HEADER);
    });
    stream.on("error", (error: Error) => {
      this.error ??= receiveError(protocolError("INVALID_DEFLATE", undefined, { cause: error }), TOO_BIG_HEADER);
      this.finish();
    });
  }

  get isEnded(): boolean {
    return this.stream.readableEnded || this.stream.destroyed;
  }

  /** Processes the pieces when those before them are done. */
  run(pieces: readonly Buffer[], callback: Done): void {
    this.last = this.last.then(
      () =>
        new Promise((resolve) => {
          this.callback = (error, data) => {
            callback(error, data);
            resolve();
          };
          for (const piece of pieces) this.stream.write(piece);
          this.stream.flush(zlib.constants.Z_SYNC_FLUSH, () => this.finish());
        }),
    );
  }

  private finish(): void {
    const { callback, error } = this;
    if (callback === undefined) return;
    const data = Buffer.concat(this.parts, Math.min(this.size, this.most));
    this.callback = undefined;
    this.parts = [];
    this.size = 0;
    callback(error, error === null ? data : undefined);
  }

  reset(): void {
    this.stream.reset();
  }

  close(): void {
    this.stream.close();
  }

  /** Closes the stream and fails the current operation. */
  abort(): void {
    this.error ??= new Error("The deflate stream was closed while data was being processed");
    this.close();
    this.finish();
  }
}

const TOO_BIG_HEADER = { firstByte: 0, secondByte: 0, declaredLength: 0 };
