import { nameOfError, type Platform, type Socket } from "./platform.ts";

/** Runs a script against a ScenarioServer at `base`. Logs a line for each thing that happened. */
export async function socketScenario(platform: Platform, base: string, log: string[]): Promise<void> {
  constructorTable(platform, base, log);
  shapes(platform, log);
  events(platform, log);
  await echo(platform, base, log);
  await oneTaskPerMessage(platform, base, log);
  await handlers(platform, base, log);
  await closeArguments(platform, base, log);
  await endings(platform, base, log);
  await blobsInOrder(platform, base, log);
}

function constructorTable({ WebSocket }: Platform, base: string, log: string[]): void {
  const http = base.replace("ws:", "http:");
  const table: readonly unknown[][] = [
    [],
    ["ftp://example.com/"],
    ["mailto:a@example.com"],
    ["ws:"],
    ["ws://"],
    [`${base}/#`],
    [`${base}/#fragment`],
    [Symbol.iterator],
    [base, ""],
    [base, "a b"],
    [base, "a,b"],
    [base, "\u0080"],
    [base, "a\u007f"],
    [base, ["a", "b", "a"]],
    [base, [""]],
    [base, ["a", Symbol.iterator]],
    [base, Symbol.iterator],
    [base, []],
    [base, undefined],
    [base, ["a", "b"]],
    [base, new Set(["a"])],
    [base, 1],
    [base, null],
    [base, { toString: () => "object" }],
    [base, "a", "stray"],
    [http],
    [`${base}/a b?c d`],
    [`${base}/ä\ud800`],
    [new URL(base)],
    [{ toString: () => base }],
    ["ws://127.0.0.1:80/"],
    ["wss://127.0.0.1:443/"],
    ["wss://127.0.0.1:80/"],
  ];
  for (const args of table) {
    let made: Socket | undefined;
    const result = nameOfError(() => (made = new WebSocket(...args)));
    log.push(`new WebSocket ${table.indexOf(args)}: ${result} ${made?.url.replace(base, "BASE") ?? ""}`);
    made?.close();
  }
}

function shapes(platform: Platform, log: string[]): void {
  for (const [name, each] of Object.entries(platform) as [string, { readonly length: number; prototype: object }][]) {
    log.push(`${name} ${(each as unknown as { name: string }).name} length ${each.length}`);
    for (const [owner, object] of [
      ["class", each],
      ["prototype", each.prototype],
    ] as const) {
      for (const [key, property] of Object.entries(Object.getOwnPropertyDescriptors(object)).toSorted(byName)) {
        // not part of what these classes are for
        if (["prototype", "length", "name", "initMessageEvent", "userActivation"].includes(key)) continue;
        const { get, set, value, enumerable, writable, configurable } = property;
        const kind = typeof value === "function" ? `function ${value.length} ${value.name}` : typeof value;
        const accessors = `${get === undefined ? "" : `${get.name} ${get.length}`} ${set === undefined ? "" : `${set.name} ${set.length}`}`;
        log.push(
          `${name} ${owner} ${key}: ${kind} ${accessors} enumerable ${enumerable} writable ${writable} configurable ${configurable}`,
        );
        if (get !== undefined && key !== "opened" && key !== "closed") {
          log.push(`${name} ${key} of another object: ${nameOfError(() => Reflect.apply(get, {}, []))}`);
        }
      }
    }
    log.push(`${name} ${Object.prototype.toString.call(Object.create(each.prototype))}`);
    log.push(`${name} without new: ${nameOfError(() => Reflect.apply(each as never, undefined, ["ws://a"]))}`);
  }
}

const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);

function events({ CloseEvent, MessageEvent, WebSocketError }: Platform, log: string[]): void {
  const show = (make: () => object, ...names: string[]): void => {
    let made: Record<string, unknown> | undefined;
    const result = nameOfError(() => (made = make() as Record<string, unknown>));
    log.push(`${result} ${names.map((name) => JSON.stringify(made?.[name])).join(" ")}`);
  };
  const close = ["type", "bubbles", "cancelable", "wasClean", "code", "reason"];
  show(() => new CloseEvent(), ...close);
  show(() => new CloseEvent("x"), ...close);
  show(() => new CloseEvent("x", null), ...close);
  show(() => new CloseEvent("x", 1), ...close);
  show(() => new CloseEvent("x", { bubbles: true, wasClean: 1, code: 65_537, reason: "é" }), ...close);
  show(() => new CloseEvent("x", { code: NaN, reason: undefined }), ...close);
  show(() => new CloseEvent("x", { code: -1, cancelable: true }), ...close);
  const message = ["type", "data", "origin", "lastEventId", "source", "ports"];
  show(() => new MessageEvent(), ...message);
  show(() => new MessageEvent("m"), ...message);
  show(() => new MessageEvent("m", { data: [1], origin: "o", lastEventId: 1 }), ...message);
  const error = ["name", "message", "code", "closeCode", "reason"];
  show(() => new WebSocketError(), ...error);
  show(() => new WebSocketError("m"), ...error);
  show(() => new WebSocketError("m", { closeCode: 3456, reason: "r\ud800" }), ...error);
  show(() => new WebSocketError("m", { reason: "r" }), ...error);
  show(() => new WebSocketError("m", { reason: "r".repeat(124) }), ...error);
  for (const closeCode of [999, 1000, 1001, 2999, 3000, 4999, 5000, "3000", 3000.9, null, undefined]) {
    show(() => new WebSocketError("m", { closeCode }), ...error);
  }
}

/** Resolves when the socket is closed. Logs its events. */
function logged(socket: Socket, log: string[], onOpen: () => void, onMessage: (event: Event) => void): Promise<void> {
  return new Promise((resolve) => {
    socket.addEventListener("open", () => {
      log.push(`open ${socket.readyState} protocol ${socket.protocol} extensions ${socket.extensions}`);
      onOpen();
    });
    socket.addEventListener("message", onMessage);
    socket.addEventListener("error", (event) => log.push(`error ${socket.readyState} ${event.constructor.name}`));
    socket.addEventListener("close", (event) => {
      const { code, reason, wasClean } = event as Event & { code: number; reason: string; wasClean: boolean };
      log.push(`close ${socket.readyState} ${code} ${reason} ${wasClean} ${event.constructor.name} ${event.bubbles}`);
      resolve();
    });
  });
}

async function describeData(data: unknown): Promise<string> {
  if (data instanceof Blob) return `Blob ${data.size} ${data.type} ${new Uint8Array(await data.arrayBuffer()).join()}`;
  return data instanceof ArrayBuffer ? `ArrayBuffer ${new Uint8Array(data).join()}` : `string ${data as string}`;
}

async function echo({ WebSocket }: Platform, base: string, log: string[]): Promise<void> {
  const socket = new WebSocket(`${base}/echo`, ["unknown", "chat"]);
  log.push(`new ${socket.readyState} ${socket.protocol} ${socket.bufferedAmount} ${socket.binaryType}`);
  log.push(`send too early: ${nameOfError(() => socket.send("early"))}`);
  log.push(`send without data: ${nameOfError(() => Reflect.apply(socket.send, socket, []))}`);
  const bytes = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7]);
  const detached = new ArrayBuffer(4);
  const viewsOfDetached = [new Uint8Array(detached, 1), new DataView(detached, 1)];
  structuredClone(detached, { transfer: [detached] });
  const sent: readonly unknown[] = [
    "text",
    "",
    "é€😀",
    "lone \ud800 and \udc00",
    null,
    undefined,
    42,
    { toString: () => "object" },
    bytes,
    bytes.subarray(2, 4),
    new Uint16Array(bytes.buffer, 2, 2),
    new DataView(bytes.buffer, 7),
    bytes.buffer,
    new ArrayBuffer(0),
    detached,
    ...viewsOfDetached,
    new Blob(["blob"]),
  ];
  const received: Promise<string>[] = [];
  await logged(
    socket,
    log,
    () => {
      log.push(`a symbol: ${nameOfError(() => socket.send(Symbol.iterator))}`);
      log.push(`shared memory: ${nameOfError(() => socket.send(new SharedArrayBuffer(1)))}`);
      log.push(`a view of shared memory: ${nameOfError(() => socket.send(new Uint8Array(new SharedArrayBuffer(1))))}`);
      for (const each of sent) {
        socket.send(each);
        log.push(`buffered ${socket.bufferedAmount}`);
      }
      bytes.fill(9); // after send: it must not matter
      for (const type of ["arraybuffer", "other", "", null, "blob"]) {
        Reflect.set(socket, "binaryType", type);
        log.push(`binaryType ${socket.binaryType}`);
      }
    },
    (event) => {
      const { data, origin, source, lastEventId, ports } = event as MessageEvent;
      received.push(
        describeData(data).then((text) => {
          const from = origin.replace(base, "BASE");
          return `${text}; ${from} ${String(source)} ${JSON.stringify(lastEventId)} ${ports.length}`;
        }),
      );
      if (received.length === 10) socket.binaryType = "arraybuffer";
      if (received.length === sent.length) socket.close(3000, "é");
    },
  );
  log.push(...(await Promise.all(received)));
  log.push(`buffered at the end ${socket.bufferedAmount}`);
  for (const data of ["é", new Uint8Array(3), new Blob(["four"])]) {
    socket.send(data);
    log.push(`buffered after the end ${socket.bufferedAmount}`);
  }
}

/** Messages that come together are still one task each: what awaits one misses none. */
async function oneTaskPerMessage({ WebSocket }: Platform, base: string, log: string[]): Promise<void> {
  const socket = new WebSocket(`${base}/burst`);
  const next = (): Promise<unknown> =>
    new Promise((resolve) => (socket.onmessage = ({ data }: MessageEvent) => resolve(data)));
  for (let n = 0; n < 5; n++) {
    const data = await next();
    await Promise.resolve();
    await Promise.resolve();
    log.push(`awaited ${String(data)}`);
  }
  const seen: unknown[] = [];
  socket.onmessage = ({ data }: MessageEvent) => {
    seen.push(data);
    queueMicrotask(() => queueMicrotask(() => seen.push(`microtask of ${String(data)}`)));
  };
  await new Promise((resolve) => (socket.onclose = resolve));
  log.push(seen.join());
}

async function handlers({ WebSocket }: Platform, base: string, log: string[]): Promise<void> {
  const socket = new WebSocket(`${base}/echo`);
  for (const name of ["onopen", "onmessage", "onerror", "onclose"] as const) {
    const values: unknown[] = [];
    const functionOf = (): undefined => undefined;
    for (const value of [functionOf, 2, "text", null, undefined, Symbol.iterator, { handleEvent: functionOf }]) {
      socket[name] = value;
      const now: unknown = socket[name];
      values.push(now === value ? "same" : now === null ? "null" : typeof now);
    }
    socket[name] = null;
    log.push(`${name} ${values.join()}`);
  }
  const order: string[] = [];
  socket.addEventListener("open", () => order.push("listener 1"));
  socket.onopen = () => order.push("never");
  socket.addEventListener("open", () => order.push("listener 2"));
  socket.onopen = function (this: unknown, ...args: unknown[]) {
    order.push(`handler ${this === socket} ${args.length}`);
    socket.onopen = null;
    socket.send("x");
  };
  socket.addEventListener("message", () => order.push("message listener 1"));
  socket.onmessage = () => order.push("removed");
  socket.onmessage = null;
  socket.addEventListener("message", () => order.push("message listener 2"));
  socket.onmessage = () => {
    order.push("message handler");
    socket.close();
  };
  socket.addEventListener("message", {
    handleEvent: () => order.push("object"),
  });
  await new Promise((resolve) => socket.addEventListener("close", resolve));
  log.push(order.join());
}

async function closeArguments({ WebSocket }: Platform, base: string, log: string[]): Promise<void> {
  const codes: readonly unknown[] = [
    0,
    1,
    999,
    1001,
    1005,
    1006,
    1015,
    2999,
    5000,
    65_536,
    -1,
    NaN,
    null,
    "3000x",
    {},
    Symbol.iterator,
    "reason",
  ];
  const wrong = new WebSocket(`${base}/echo`);
  for (const code of codes) log.push(`close ${String(code)}: ${nameOfError(() => wrong.close(code))}`);
  log.push(`reason of 124 bytes: ${nameOfError(() => wrong.close(1000, "a".repeat(124)))}`);
  log.push(`reason of 62 é: ${nameOfError(() => wrong.close(1000, "é".repeat(62)))}`);
  log.push(`still ${wrong.readyState}`);
  const closed = new Promise((resolve) => wrong.addEventListener("close", resolve));
  wrong.close();
  await closed;
  log.push(`closed, code 1: ${nameOfError(() => wrong.close(1))} ${wrong.readyState}`);
  const right: readonly unknown[][] = [
    [],
    [undefined],
    [1000],
    [1000, "a\ud800"],
    [3000, "a".repeat(123)],
    [4999],
    ["4000"],
    [undefined, undefined],
  ];
  for (const args of right) {
    const socket = new WebSocket(`${base}/echo`);
    await logged(
      socket,
      log,
      () => {
        socket.close(...(args as [unknown?, unknown?]));
        log.push(`closing ${socket.readyState}`);
        socket.close(3001, "again"); // ignored
      },
      () => undefined,
    );
  }
}

async function endings({ WebSocket }: Platform, base: string, log: string[]): Promise<void> {
  for (const path of ["/close-none", "/close-1000", "/close-1001", "/close-4000", "/close-after", "/refuse"]) {
    const socket = new WebSocket(base + path);
    log.push(path);
    await logged(
      socket,
      log,
      () => undefined,
      (event) => log.push(`message ${(event as MessageEvent).data as string} ${socket.readyState}`),
    );
    socket.close();
    log.push(`at the end ${socket.readyState}`);
  }
  const early = new WebSocket(`${base}/echo`);
  early.close();
  log.push(`closed while connecting: ${early.readyState} ${nameOfError(() => early.send("x"))}`);
  await logged(
    early,
    log,
    () => undefined,
    () => undefined,
  );
  log.push("no subprotocol selected");
  await logged(
    new WebSocket(`${base}/echo`, ["unknown"]),
    log,
    () => undefined,
    () => undefined,
  );
}

async function blobsInOrder({ WebSocket }: Platform, base: string, log: string[]): Promise<void> {
  const socket = new WebSocket(`${base}/echo`);
  socket.binaryType = "arraybuffer";
  const received: string[] = [];
  await logged(
    socket,
    log,
    () => {
      const bytes = new Uint8Array([1]);
      socket.send("first");
      socket.send(new Blob([new Uint8Array(100_000)]));
      socket.send(bytes);
      bytes[0] = 2;
      socket.send("between");
      socket.send(new Blob(["b"]));
      socket.send("last");
      socket.close(1000, "behind all of them");
    },
    () => undefined,
  );
  // what the server received, in its order
  const result = new WebSocket(`${base}/received`);
  await new Promise<void>((resolve) => {
    result.onmessage = ({ data }: { readonly data: string }) => {
      received.push(data);
      result.close();
    };
    result.onclose = () => resolve();
  });
  log.push(...received);
}
