import type { IncomingMessage } from "node:http";
import type { MemoryBudget, MemoryPart } from "tungstate";

const MAX_BODY = 4 * 1024 * 1024; // bytes
const MAX_BODIES = 64; // that are read at a time
const DEADLINE = 30_000; // ms for a whole body

/** Why a body was not read: the status and what to say. */
export interface BodyRefusal {
  readonly status: 400 | 408 | 413 | 503;
  readonly text: string;
}

/** Reads the bodies of requests: so many at a time, up to a size, within a time. Their bytes count in the memory budget. */
export class Bodies {
  private readonly budget: MemoryBudget;
  private readonly memory: MemoryPart;
  private readonly limits: { readonly size: number; readonly count: number; readonly deadline: number };
  private reading = 0;

  constructor(budget: MemoryBudget, limits = { size: MAX_BODY, count: MAX_BODIES, deadline: DEADLINE }) {
    this.budget = budget;
    this.memory = budget.part("bodies");
    this.limits = limits;
  }

  /** Rejects never. A body counts until `use`, which gets it, has settled. */
  async read<T>(request: IncomingMessage, use: (body: Buffer) => Promise<T>): Promise<T | BodyRefusal> {
    const { size, count } = this.limits;
    // what is declared too large is not begun with
    if (Number(request.headers["content-length"] ?? 0) > size) return tooLarge(size);
    if (this.reading >= count || this.budget.short) return { status: 503, text: "too many bodies at a time" };
    this.reading++;
    let held = 0;
    const hold = (bytes: number): void => {
      held += bytes;
      this.memory.add(bytes);
    };
    try {
      const body = await this.collect(request, hold);
      return "status" in body ? body : await use(body);
    } finally {
      this.reading--;
      this.memory.add(-held);
    }
  }

  private collect(request: IncomingMessage, hold: (bytes: number) => void): Promise<Buffer | BodyRefusal> {
    const { size, deadline } = this.limits;
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      let length = 0;
      const end = (result: Buffer | BodyRefusal): void => {
        clearTimeout(timer);
        request.off("data", onData).off("end", onEnd).off("close", onClose);
        request.resume(); // the rest is dropped
        resolve(result);
      };
      const onData = (chunk: Buffer): void => {
        length += chunk.length;
        if (length > size) return end(tooLarge(size));
        hold(chunk.length);
        // a chunk is a view of what was read together with it: many small ones would hold many large ones
        chunks.push(chunk.length < chunk.buffer.byteLength / 2 ? Buffer.from(chunk) : chunk);
      };
      const onEnd = (): void => end(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
      const onClose = (): void => end({ status: 400, text: "the body was cut off" });
      const timer = setTimeout(() => end({ status: 408, text: `a body has ${deadline} ms` }), deadline);
      request.on("data", onData).once("end", onEnd).once("close", onClose);
    });
  }
}

function tooLarge(size: number): BodyRefusal {
  return { status: 413, text: `a body has at most ${size} bytes` };
}
