import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import { DEFAULT_LIMITS } from "../../src/endpoint/options.ts";
import type { Taken } from "../../src/endpoint/output.ts";
import type { Protocol } from "../../src/endpoint/protocol.ts";
import type { Message } from "../../src/messages/message.ts";
import { concat } from "../support/bytes.ts";
import { optionsOf } from "../support/endpoint.ts";
import { type Role, ROLES } from "../support/frames.ts";
import { framesTo } from "../support/receiving.ts";
import { memory, newProtocol, useRuntime } from "../support/runtime.ts";

const KIB = 1024;
const SIZES = [100, 3000, 5 * KIB, 16 * KIB, 40 * KIB, 130 * KIB, 300 * KIB];

/** ASCII, different for each number and around each place. */
function payloadOf(number: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, at) => 32 + ((at * 7 + (at >> 8) * 13 + number * 31) % 95));
}

/** A view that an application has, with a copy of what it held then. */
interface Seen {
  readonly view: Uint8Array;
  readonly copy: Uint8Array;
}

/** A received message that the application still has. */
interface Kept {
  readonly message: Message;
  readonly payload: Uint8Array;
  transferred: boolean;
}

/** A connection whose writes take as long as the program wants. */
class End {
  readonly role: Role;
  readonly protocol: Protocol;
  /** Taken and not written yet, with the bytes that it had then. */
  private writing: { readonly taken: Taken; readonly copy: Uint8Array } | undefined;
  private readonly received: Message[] = [];

  constructor(role: Role) {
    this.role = role;
    this.protocol = newProtocol(
      { ...optionsOf(role), ...DEFAULT_LIMITS, maxWriteBufferSize: 64 * KIB * KIB },
      {
        onMessage: (message) => this.received.push(message),
      },
    );
  }

  receive(opcode: number, payload: Uint8Array, cut: number): Message {
    const frames = framesTo(this.role, [
      { opcode, fin: false, payload: payload.subarray(0, payload.length >> 1) },
      { opcode: 0, payload: payload.subarray(payload.length >> 1) },
    ]);
    const bytes = cut % 3 === 0 ? framesTo(this.role, [{ opcode, payload }]) : frames;
    const step = cut % 2 === 0 ? bytes.length : 1 + (bytes.length >> (cut % 5));
    for (let at = 0; at < bytes.length; at += step) {
      this.protocol.receive(bytes, 0, at, Math.min(at + step, bytes.length));
    }
    const message = this.received.pop();
    assert.ok(message !== undefined);
    return message;
  }

  /** Begins to write what waits. */
  take(): void {
    if (this.writing !== undefined || this.protocol.output.size === 0) return;
    const taken = this.protocol.output.take();
    this.writing = { taken, copy: concat(...[taken.pieces].flat()) };
    this.protocol.inTransit = taken.size;
  }

  check(): void {
    if (this.writing === undefined) return;
    const { taken, copy } = this.writing;
    assert.ok(Buffer.compare(concat(...[taken.pieces].flat()), copy) === 0, "bytes that are being written changed");
  }

  /** The write is done. */
  written(): void {
    if (this.writing === undefined) return;
    this.protocol.output.release(this.writing.taken);
    this.writing = undefined;
    this.protocol.inTransit = 0;
  }

  /** The connection ends. What was being written is never reported as written. */
  end(): void {
    this.protocol.output.clear();
  }
}

const STEPS = [
  ...["bytes", "text", "chunks", "copy", "share", "copyTo", "data"],
  ...["write", "writeBytes", "writeText", "writeShare", "transfer"],
  ...["take", "written", "end"],
] as const;

interface Step {
  readonly what: (typeof STEPS)[number] | "receive";
  readonly which: number;
  readonly on: number;
  readonly size: number;
  readonly text: boolean;
}

const anyStep = fc.record<Step>({
  what: fc.oneof(
    { weight: 3, arbitrary: fc.constant("receive" as const) },
    { weight: 5, arbitrary: fc.constantFrom(...STEPS) },
  ),
  which: fc.nat(1000),
  on: fc.nat(2),
  size: fc.constantFrom(...SIZES),
  text: fc.boolean(),
});

/** Runs a program, and checks after each step all that the application can see. */
function run(steps: readonly Step[]): void {
  const ends: End[] = [new End("server"), new End("server"), new End("client")];
  const kept: Kept[] = [];
  const seen: Seen[] = [];
  const look = (view: Uint8Array): void => void seen.push({ view, copy: Uint8Array.from(view) });
  const check = (): void => {
    for (const { view, copy } of seen) assert.ok(Buffer.compare(view, copy) === 0, "bytes that were read changed");
    for (const end of ends) end.check();
  };
  steps.forEach((step, number) => {
    const end = ends[step.on];
    if (step.what === "receive") {
      const payload = payloadOf(number, step.size);
      const message = end.receive(step.text ? 1 : 2, payload, step.which);
      kept.push({ message, payload, transferred: false });
    } else if (step.what === "take") end.take();
    else if (step.what === "written") end.written();
    else if (step.what === "end") {
      end.end();
      ends[step.on] = new End(end.role);
    } else if (kept.length > 0) use(kept[step.which % kept.length], step.what, end, look);
    check();
  });
  for (const { message, payload, transferred } of kept) {
    if (transferred) assert.throws(() => message.bytes, { code: "INVALID_STATE" });
    else {
      assert.ok(Buffer.compare(message.bytes, payload) === 0, "a message changed");
      assert.equal(message.text, Buffer.from(payload).toString());
    }
  }
  check();
}

function use(kept: Kept, what: Step["what"], { protocol }: End, look: (view: Uint8Array) => void): void {
  const { message, payload } = kept;
  if (kept.transferred) return;
  const before = protocol.output.size;
  switch (what) {
    case "bytes":
      return look(message.bytes);
    case "text":
      return assert.equal(message.text, Buffer.from(payload).toString());
    case "data":
      return void message.data;
    case "chunks":
      return message.chunks().forEach(look);
    case "copy":
      return void message.copy();
    case "share":
      return look(message.share().bytes);
    case "copyTo": {
      const target = new Uint8Array(payload.length);
      message.copyTo(target, 0);
      return assert.ok(Buffer.compare(target, payload) === 0);
    }
    case "write":
      protocol.send(message);
      break;
    case "writeBytes":
      protocol.send(message.bytes);
      break;
    case "writeText":
      protocol.send(message.text);
      break;
    case "writeShare":
      protocol.send(message.share());
      break;
    case "transfer":
      protocol.transfer(message);
      kept.transferred = true;
      break;
    default:
  }
  assert.ok(protocol.output.size > before);
}

describe("recycled memory", () => {
  beforeEach(() => useRuntime());
  afterEach(() => useRuntime());

  test("is never seen by a program that keeps, copies, writes and relays messages, with slow writers", () => {
    fc.assert(fc.property(fc.array(anyStep, { minLength: 10, maxLength: 60 }), run), {
      numRuns: Number(globalThis.process?.env.RUNS ?? 100),
    });
  });

  test("holds a large text message until its text is read, and its bytes stay the same", () => {
    for (const size of [70 * KIB, 300 * KIB]) {
      for (const cut of [0, 1, 2]) {
        const payload = payloadOf(cut, size);
        const message = new End("server").receive(1, payload, cut);
        const allocated = countAllocated(() => {
          assert.equal(message.text, Buffer.from(payload).toString());
        });
        assert.ok(allocated <= size, "at most to join the pieces");
        const later = countAllocated(() => new End("server").receive(2, payloadOf(7, size), cut));
        assert.ok(later < size / 2, `${later} bytes were allocated for the next message of ${size}`);
        assert.deepEqual(message.bytes, payload);
        assert.equal(message.bytes, message.bytes);
      }
    }
  });

  test("serves the next message when the pieces of one were joined for its bytes", () => {
    const payload = payloadOf(1, 300 * KIB);
    const message = new End("server").receive(2, payload, 1);
    const { bytes } = message;
    const later = countAllocated(() => new End("server").receive(2, payloadOf(2, 300 * KIB), 1));
    assert.ok(later < 32 * KIB, `${later} bytes were allocated`);
    assert.deepEqual(bytes, payload);
  });

  test("serves the next large text, and the next large frame that is masked", () => {
    for (const role of ROLES) {
      for (const data of ["x".repeat(100 * KIB), payloadOf(1, 100 * KIB)]) {
        if (role === "server" && typeof data !== "string") continue; // sent from where it is
        const { protocol } = new End(role);
        const write = (): void => {
          protocol.send(data);
          protocol.output.release(protocol.output.take());
        };
        write();
        assert.equal(countAllocated(write), 0);
      }
    }
  });
});

/** Bytes that the runtime allocates while `work` runs. */
function countAllocated(work: () => void): number {
  const { pieces } = memory();
  const { allocate } = pieces as unknown as { allocate: (size: number) => Uint8Array };
  let total = 0;
  const counting = (size: number): Uint8Array => {
    total += size;
    return allocate(size);
  };
  Reflect.set(pieces, "allocate", counting);
  try {
    work();
  } finally {
    Reflect.set(pieces, "allocate", allocate);
  }
  return total;
}
