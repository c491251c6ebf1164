import type { IncomingMessage } from "node:http";
import type { MemoryBudget, MemoryPart } from "tungstate";

const MAX_BODY = 4 * 1024 * 1024;
const MAX_BODIES = 64; // bodies that are read at the same time
const DEADLINE = 30_000; // ms for a whole body

/** Why a body was not read: status and text of the response. */
export interface BodyRefusal {
  readonly status: 400 | 408 | 413 | 503;
  readonly text: string;
}

/**
 * Reads request bodies, with limits on their number, size and time. Charges their bytes to the
 * memory budget.
 */
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

  /**
   * Reads a body and passes it to `use`. The body is charged until the promise of `use` settles.
   * Never rejects by itself.
   */
  async read<T>(request: IncomingMessage, use: (body: Buffer) => Promise<T>): Promise<T | BodyRefusal> {
    const { size, count } = this.limits;
    // reject without reading if the declared length is too large
    if (Number(request.headers["content-length"] ?? 0) > size) return tooLarge(size);
    if (this.reading >= count || this.budget.underPressure)
      return { status: 503, text: "too many concurrent request bodies" };
    this.reading++;
    let charged = 0;
    const charge = (bytes: number): void => {
      charged += bytes;
      this.memory.add(bytes);
    };
    try {
      const body = await this.collect(request, charge);
      return "status" in body ? body : await use(body);
    } finally {
      this.reading--;
      this.memory.add(-charged);
    }
  }

  private collect(request: IncomingMessage, charge: (bytes: number) => void): Promise<Buffer | BodyRefusal> {
    const { size, deadline } = this.limits;
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      let length = 0;
      const end = (result: Buffer | BodyRefusal): void => {
        clearTimeout(timer);
        request.off("data", onData).off("end", onEnd).off("close", onClose);
        request.resume(); // discard the rest
        resolve(result);
      };
      const onData = (chunk: Buffer): void => {
        length += chunk.length;
        if (length > size) return end(tooLarge(size));
        charge(chunk.length);
        // copy small chunks: a view keeps the whole read buffer in memory
        chunks.push(chunk.length < chunk.buffer.byteLength / 2 ? Buffer.from(chunk) : chunk);
      };
      const onEnd = (): void => end(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
      const onClose = (): void => end({ status: 400, text: "the body is incomplete" });
      const timer = setTimeout(
        () => end({ status: 408, text: `the body must arrive within ${deadline} ms` }),
        deadline,
      );
      request.on("data", onData).once("end", onEnd).once("close", onClose);
    });
  }
}

function tooLarge(size: number): BodyRefusal {
  return { status: 413, text: `the body must not exceed ${size} bytes` };
}
