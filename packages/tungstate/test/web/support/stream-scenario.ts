import { nameOfError, nameOfRejection, type Platform, type Stream } from "./platform.ts";

/** Runs a script against a ScenarioServer at `base`. Logs a line for each thing that happened. */
export async function streamScenario(platform: Platform, base: string, log: string[]): Promise<void> {
  constructorTable(platform, base, log);
  await messages(platform, base, log);
  await closing(platform, base, log);
  await failing(platform, base, log);
  await aborted(platform, base, log);
}

function constructorTable({ WebSocketStream }: Platform, base: string, log: string[]): void {
  const table: readonly unknown[][] = [
    [],
    ["invalid:"],
    [`${base}/#`],
    [base, true],
    [base, { protocols: "text" }],
    [base, { protocols: ["a", "a"] }],
    [base, { protocols: ["a b"] }],
    [base, { signal: {} }],
    [base, null],
    [base, {}],
    [base, { protocols: [] }],
    [base, { protocols: new Set(["a"]) }],
    [base.replace("ws:", "http:")],
    [new URL(base)],
  ];
  for (const args of table) {
    let made: Stream | undefined;
    const result = nameOfError(() => (made = new WebSocketStream(...args)));
    log.push(`new WebSocketStream ${table.indexOf(args)}: ${result} ${made?.url.replace(base, "BASE") ?? ""}`);
    made?.close();
  }
}

async function closedAs(stream: Stream, log: string[]): Promise<void> {
  try {
    const { closeCode, reason } = await stream.closed;
    log.push(`closed ${closeCode} ${reason}`);
  } catch (error) {
    const { name, closeCode, reason } = error as { name: string; closeCode?: number; reason?: string };
    log.push(`closed: ${name} ${closeCode} ${reason}`);
  }
}

async function messages({ WebSocketStream }: Platform, base: string, log: string[]): Promise<void> {
  const stream = new WebSocketStream(`${base}/echo`, { protocols: ["chat"] });
  log.push(`same promises ${stream.opened === stream.opened} ${stream.closed === stream.closed}`);
  const { readable, writable, protocol, extensions } = await stream.opened;
  log.push(`opened ${protocol} ${extensions}`);
  const writer = writable.getWriter();
  const reader = readable.getReader();
  const bytes = new Uint8Array([1, 2, 3, 4]);
  for (const each of [
    "text",
    "\ud800",
    bytes,
    bytes.subarray(1, 3),
    bytes.buffer,
    new DataView(bytes.buffer, 3),
    5,
    null,
  ]) {
    await writer.write(each);
    const { value } = await reader.read();
    // Chromium has an ArrayBuffer here, where the standard has a Uint8Array
    const bytesRead = typeof value === "object" ? new Uint8Array(value as ArrayBuffer).join() : "";
    log.push(`${typeof value} ${bytesRead === "" ? String(value) : bytesRead}`);
  }
  await writer.close();
  await closedAs(stream, log);
  log.push(`read: ${JSON.stringify(await reader.read())}`);

  const wrong = new WebSocketStream(`${base}/echo`);
  const other = (await wrong.opened).writable.getWriter();
  log.push(`a symbol: ${await nameOfRejection(other.write(Symbol.iterator))}`);
  wrong.close();
  await closedAs(wrong, log);
}

async function closing({ WebSocketStream, WebSocketError }: Platform, base: string, log: string[]): Promise<void> {
  const infos: readonly unknown[] = [
    undefined,
    null,
    {},
    { reason: "" },
    { reason: "only a reason" },
    { closeCode: 3456, reason: "é" },
    { closeCode: "4000" },
    { closeCode: undefined },
  ];
  for (const info of infos) {
    const stream = new WebSocketStream(`${base}/echo`);
    const { readable } = await stream.opened;
    stream.close(info);
    await closedAs(stream, log);
    log.push(`read: ${JSON.stringify(await readable.getReader().read())}`);
  }
  const stream = new WebSocketStream(`${base}/echo`);
  const { writable } = await stream.opened;
  const wrong: readonly unknown[] = [
    true,
    "text",
    { closeCode: 999 },
    { closeCode: 1001 },
    { closeCode: 2999 },
    { closeCode: 5000 },
    { reason: "a".repeat(124) },
    { reason: Symbol.iterator },
  ];
  for (const info of wrong) log.push(`close: ${nameOfError(() => stream.close(info))}`);
  stream.close();
  await closedAs(stream, log);
  log.push(`write after the end: ${await nameOfRejection(writable.getWriter().write("x"))}`);

  for (const [method, half] of [
    ["abort", "writable"],
    ["cancel", "readable"],
  ] as const) {
    const reasons = [
      undefined,
      { closeCode: 3456, reason: "ignored" },
      new WebSocketError("m", { closeCode: 3333, reason: "chosen" }),
      new WebSocketError("m", { reason: "1000" }),
      new WebSocketError("m"),
    ];
    for (const reason of reasons) {
      const each = new WebSocketStream(`${base}/echo`);
      const info = await each.opened;
      const result = method === "abort" ? info.writable.abort(reason) : info.readable.cancel(reason);
      log.push(`${method} ${half} ${await nameOfRejection(result)}`);
      await closedAs(each, log);
    }
  }
  for (const path of ["/close-none", "/close-1000", "/close-4000", "/close-after"]) {
    const each = new WebSocketStream(base + path);
    const info = await each.opened;
    const read: unknown[] = [];
    const reader = info.readable.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      read.push(value);
    }
    log.push(`${path} ${read.join()}`);
    await closedAs(each, log);
    log.push(`write: ${await nameOfRejection(info.writable.getWriter().write("x"))}`);
  }
}

async function failing({ WebSocketStream, WebSocketError }: Platform, base: string, log: string[]): Promise<void> {
  for (const [path, options] of [
    ["/refuse", {}],
    ["/echo", { protocols: ["unknown"] }],
  ] as const) {
    const stream = new WebSocketStream(base + path, options);
    log.push(`opened: ${await nameOfRejection(stream.opened)}`);
    await closedAs(stream, log);
    const isOne = await stream.opened.catch((error: unknown) => error instanceof WebSocketError);
    log.push(`a WebSocketError: ${isOne === true}`);
  }
  const early = new WebSocketStream(`${base}/echo`);
  early.close({ closeCode: 3000 });
  log.push(`closed early: ${await nameOfRejection(early.opened)}`);
  await closedAs(early, log);
}

async function aborted({ WebSocketStream }: Platform, base: string, log: string[]): Promise<void> {
  const before = new WebSocketStream(`${base}/echo`, { signal: AbortSignal.abort() });
  log.push(`aborted before: ${await nameOfRejection(before.opened)} ${await nameOfRejection(before.closed)}`);
  const during = new AbortController();
  const stream = new WebSocketStream(`${base}/echo`, { signal: during.signal });
  during.abort();
  log.push(`aborted: ${await nameOfRejection(stream.opened)} ${await nameOfRejection(stream.closed)}`);
  const after = new AbortController();
  const open = new WebSocketStream(`${base}/echo`, { signal: after.signal });
  const { readable, writable } = await open.opened;
  after.abort();
  await writable.getWriter().write("still open");
  log.push(`aborted too late: ${String((await readable.getReader().read()).value)}`);
  open.close();
  await closedAs(open, log);
}
