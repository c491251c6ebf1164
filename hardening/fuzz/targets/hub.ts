import { type Clock, COMMAND_ERRORS, DISCONNECTS, Hub, type HubConnection } from "@tungstate/hub";
import { VirtualClock } from "tungstate/testing";
import type { Random } from "../random.ts";
import { check, type Target } from "../target.ts";

const CHANNELS = [
  "a",
  "b",
  "room",
  "",
  "error",
  "__proto__",
  "constructor",
  "x:y",
  ":",
  "a".repeat(256),
  "\u0001",
  "\ud800",
  "ä€𝄞",
];
const METHODS = [
  "connect",
  "subscribe",
  "unsubscribe",
  "publish",
  "presence",
  "presence_stats",
  "history",
  "rpc",
  "send",
  "refresh",
  "sub_refresh",
  "ping",
];
const VALUES: readonly unknown[] = [
  null,
  0,
  1,
  -1,
  1.5,
  2 ** 53,
  "",
  "text",
  true,
  [],
  {},
  [[[]]],
  { a: { b: 1 } },
  "\u0000",
  Number.MAX_VALUE,
];

function fields(random: Random): Record<string, unknown> {
  const made: Record<string, unknown> = {};
  const add = (name: string, value: unknown, chance: number): void => {
    if (random.chance(chance)) made[name] = random.chance(0.08) ? random.pick(VALUES) : value;
  };
  add("channel", random.chance(0.7) ? random.pick(["a", "b", "room"]) : random.pick(CHANNELS), 0.9);
  add("data", random.pick(VALUES), 0.6);
  add("token", random.pick(["", "x", "a.b.c"]), 0.1);
  add("recover", random.chance(0.5), 0.2);
  add("offset", random.integer(5), 0.2);
  add("epoch", random.pick(["", "x"]), 0.2);
  add("limit", random.pick([0, -1, 1, 10]), 0.3);
  add("since", { offset: random.integer(5), epoch: "x" }, 0.1);
  add("reverse", random.chance(0.5), 0.1);
  add("method", random.pick(["echo", "fail", "error", "__proto__"]), 0.3);
  add("flag", random.integer(4), 0.1);
  add("delta", "fossil", 0.1);
  add("join_leave", true, 0.1);
  add("positioned", true, 0.1);
  add("type", random.integer(3), 0.05);
  add(
    random.pick(["key", "tf", "removed", "subs", "headers", "name", "unknown", "__proto__"]),
    random.pick(VALUES),
    0.1,
  );
  return made;
}

/** Frames of several lines, separated by a byte that is not in JSON. */
const SEPARATOR = "\u001e";

function generate(random: Random): Uint8Array {
  let id = 1;
  const line = (): string => {
    if (random.chance(0.02))
      return random.pick(["", "{}", "null", "[]", "{", '{"id":1', "1", '"x"', '{"id":1,"id":2}', "[".repeat(200)]);
    const method = random.pick(METHODS);
    const command: Record<string, unknown> = {
      id: random.chance(0.03) ? random.pick(VALUES) : id++,
      [method]: random.chance(0.02) ? random.pick(VALUES) : fields(random),
    };
    if (random.chance(0.01)) command[random.pick(METHODS)] = {};
    return JSON.stringify(command);
  };
  const first = random.chance(0.95) ? ['{"id":4000000000,"connect":{}}'] : [];
  const frames = Array.from({ length: 1 + random.integer(5) }, () =>
    Array.from({ length: 1 + random.integer(4) }, line).join("\n"),
  );
  return Buffer.from([...first, ...frames].join(SEPARATOR));
}

const CODES: ReadonlySet<number> = new Set([...Object.values(DISCONNECTS).map(({ code }) => code), 1009]);
const ERRORS: ReadonlySet<number> = new Set(Object.values(COMMAND_ERRORS).map(({ code }) => code));

/** The output of a hub, and how it ended. */
class Connection implements HubConnection {
  readonly lines: string[] = [];
  closedWith: number | undefined;
  private readonly counts = new Map<number, number>();

  write(text: string): boolean {
    check(this.closedWith === undefined, "something is written after the end");
    for (const line of text.split("\n")) this.take(line);
    return true;
  }

  writeShared({ text }: { readonly text: string }): boolean {
    return this.write(text);
  }

  pause(): void {
    // everything arrives anyway
  }

  resume(): void {
    // see there
  }

  close(code: number, reason: string): void {
    check(CODES.has(code), () => `it ends with ${code}`);
    check(Buffer.byteLength(reason) <= 123, "a reason that a Close cannot contain");
    this.closedWith = code;
  }

  repliesTo(id: number): number {
    return this.counts.get(id) ?? 0;
  }

  private take(line: string): void {
    this.lines.push(line);
    const reply = JSON.parse(line) as { id?: number; error?: { code: number; message: string }; push?: object };
    if (reply.id !== undefined) this.counts.set(reply.id, this.repliesTo(reply.id) + 1);
    else check(reply.push !== undefined || line === "{}", () => `neither a reply nor a push: ${line}`);
    check(reply.error === undefined || ERRORS.has(reply.error.code), () => `the error ${JSON.stringify(reply.error)}`);
    check(reply.error?.code !== COMMAND_ERRORS.INTERNAL.code, () => `an internal error: ${line}`);
  }
}

/**
 * How often each id must be answered, at least and at most: a `send` is only answered with an
 * error.
 */
class Expected {
  private readonly counts = new Map<number, { least: number; most: number }>();

  add(frame: string): void {
    for (const line of frame.split("\n")) {
      const command = parsed(line);
      const id = command?.["id"];
      if (command === undefined || typeof id !== "number" || !Number.isInteger(id) || id <= 0) continue;
      const count = this.counts.get(id) ?? { least: 0, most: 0 };
      this.counts.set(id, { least: count.least + (Object.hasOwn(command, "send") ? 0 : 1), most: count.most + 1 });
    }
  }

  check(connection: Connection): void {
    for (const [id, { least, most }] of this.counts) {
      const count = connection.repliesTo(id);
      check(count >= least && count <= most, () => `${count} replies to command ${id}, not ${least} to ${most}`);
    }
  }
}

function parsed(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const open = {
  subscribe: "anyone",
  publish: "anyone",
  presence: true,
  joinLeave: true,
  history: { size: 5, ttl: 60_000 },
  delta: true,
} as const;

async function run(input: Uint8Array): Promise<void> {
  const time = new VirtualClock();
  const clock: Clock = {
    now: () => time.now(),
    unix: () => time.now(),
    after: (delay, callback) => time.after(delay, callback),
    endOfTick: (callback) => time.endOfTick(callback),
  };
  const errors: unknown[] = [];
  const hub = new Hub({
    namespaces: { "": open },
    anonymous: true,
    ping: false,
    clock: clock,
    limits: { channels: 4, rates: false },
    onMessage: () => undefined,
    onError: (error) => errors.push(error),
  });
  await hub.start();
  hub.rpc("echo", ({ data }) => data ?? null);
  const connection = new Connection();
  const incoming = hub.accept(connection);
  const expected = new Expected();
  try {
    for (const frame of Buffer.from(input).toString("utf8").split(SEPARATOR)) {
      if (connection.closedWith !== undefined) break;
      expected.add(frame);
      incoming.receive(frame);
      await settled();
    }
    await settled();
    const [error] = errors;
    check(error === undefined, () => `an internal error: ${error instanceof Error ? error.stack : String(error)}`);
    if (connection.closedWith === undefined) expected.check(connection);
    incoming.closed();
    check(hub.sessions().length === 0 && hub.channels().size === 0, "state of the session remains");
  } finally {
    await hub.close();
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const hub: Target = {
  name: "hub",
  about:
    "frames of commands to a hub: one reply to each, errors and codes of the tables, no internal error, nothing left behind",
  inputs: 60_000,
  generate,
  run,
};
