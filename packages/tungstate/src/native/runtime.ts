import { MaskingKeys, Runtime } from "@tungstate/protocol";
import { Deadlines } from "../schedule/deadlines.ts";
import { Flusher } from "../schedule/flusher.ts";
import { JobQueue } from "../schedule/job-queue.ts";
import { PerClock } from "../schedule/per-clock.ts";
import { ReadScheduler } from "../schedule/read-scheduler.ts";
import { nativePrimitives, randomFill } from "./primitives.ts";
import { loadSimd, READ_BUFFER_SIZE, type Simd } from "./simd.ts";
import { loadSystem, type System, type WriteRequest } from "./system.ts";
import { ZlibPool } from "./zlib-pool.ts";

/**
 * Jobs in the thread pool. libuv has four threads by default, which files, DNS and crypto share.
 */
const MAX_DEFLATE_JOBS = 2;

/** Resources that connections on bare handles share. */
export interface HandleResources {
  readonly system: System;
  /** Buffer for the reads of all handles. A chunk is processed before the next one is read. */
  readonly readBuffer: Uint8Array;
  /** A completed write request, to be reused by the next write of any connection. */
  idleRequest: WriteRequest | undefined;
  /**
   * Buffer that joins the pieces of a write to a TLS handle. Its content is valid during the call.
   */
  joined: Uint8Array | undefined;
}

/** The resources that the connections of a process share, with the modules of Node.js. */
export class NodeRuntime extends Runtime {
  /** Flushes of all connections at the end of the tick. */
  readonly flushers = new PerClock((clock) => new Flusher(clock));
  /** Divides the time of a tick among connections that read. */
  readonly readSchedulers = new PerClock((clock) => new ReadScheduler(clock));
  /** Timers of all connections. */
  readonly deadlines = new PerClock((clock) => new Deadlines(clock));
  private readonly parts = new Map<() => object, object>();
  private readonly readBuffer: Uint8Array;
  private resources: HandleResources | undefined;
  /** One source of masking keys (RFC 6455 §5.3 requires them to be unpredictable). */
  readonly maskingKeys = new MaskingKeys(randomFill);
  /** Streams and buffers for messages that are compressed and decompressed synchronously. */
  readonly zlib = new ZlibPool();
  /** Messages that are compressed and decompressed in the thread pool. */
  readonly deflateJobs = new JobQueue(MAX_DEFLATE_JOBS);
  /** The same for connections that use public APIs only. */
  readonly publicApis = { zlib: new ZlibPool(false), deflateJobs: this.deflateJobs };

  /** Without `simd` (no WebAssembly, or no SIMD), portable code is used. */
  constructor(simd: Simd | undefined = loadSimd()) {
    super(nativePrimitives(simd));
    this.readBuffer = simd?.readBuffer ?? Buffer.allocUnsafeSlow(READ_BUFFER_SIZE);
  }

  /** Returns what `make` makes, once for this runtime: state of a higher layer. */
  part<T extends object>(make: () => T): T {
    let part = this.parts.get(make) as T | undefined;
    if (part === undefined) this.parts.set(make, (part = make()));
    return part;
  }

  /** Undefined if the handles of Node.js are unavailable. */
  get handles(): HandleResources | undefined {
    if (this.resources !== undefined) return this.resources;
    const system = loadSystem();
    if (system !== undefined)
      this.resources = { system, readBuffer: this.readBuffer, idleRequest: undefined, joined: undefined };
    return this.resources;
  }
}

/** The runtime of all connections of the process. */
export const defaultRuntime = new NodeRuntime();
