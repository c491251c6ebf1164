// addEventListener, removeEventListener and the on* attributes.
import assert from "node:assert/strict";
import { onEach, test } from "./support/implementations.ts";
import { event, listen, message, pair, terminateAfter } from "./support/pairs.ts";
import { wireServer } from "./support/wire.ts";

interface Event {
  readonly type: string;
  readonly target: unknown;
  readonly data?: unknown;
  readonly code?: number;
  readonly reason?: string;
  readonly wasClean?: boolean;
  readonly error?: unknown;
  readonly message?: string;
}

onEach("event target", (ws) => {
  for (const how of ["attribute", "addEventListener"] as const) {
    const add = (socket: InstanceType<typeof ws>, type: string, listener: (event: Event) => void): void => {
      if (how === "attribute") Reflect.set(socket, `on${type}`, listener);
      else socket.addEventListener(type, listener);
    };

    test(`open, message and close by ${how}`, async (t) => {
      const { url, server } = await listen(t, ws);
      server.on("connection", (socket) => {
        socket.send("text");
        socket.send(Buffer.from("bytes"));
        socket.close(1001, "away");
      });
      const client = new ws.WebSocket(url);
      const events: Event[] = [];
      await new Promise<void>((resolve) => {
        for (const type of ["open", "message", "error"]) add(client, type, (got) => events.push(got));
        add(client, "close", (got) => {
          events.push(got);
          resolve();
        });
      });
      assert.deepEqual(
        events.map(({ type }) => type),
        ["open", "message", "message", "close"],
      );
      for (const got of events) assert.equal(got.target, client);
      const [, text, bytes, close] = events;
      assert.equal(text?.data, "text");
      assert.deepEqual(bytes?.data, Buffer.from("bytes"));
      assert.deepEqual([close?.code, close?.reason, close?.wasClean], [1001, "away", true]);
    });

    test(`error by ${how}`, async (t) => {
      const { url } = await wireServer(t, () => "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
      const client = new ws.WebSocket(url);
      const events: Event[] = [];
      await new Promise<void>((resolve) => {
        add(client, "error", (got) => events.push(got));
        add(client, "close", (got) => {
          events.push(got);
          resolve();
        });
      });
      const [error, close] = events;
      assert.equal(error?.type, "error");
      assert.equal(error?.message, "Unexpected server response: 400");
      assert.ok(error?.error instanceof Error);
      assert.equal(error.target, client);
      assert.deepEqual([close?.code, close?.reason, close?.wasClean], [1006, "", false]);
    });
  }

  test("wasClean is false without a closing handshake", async (t) => {
    const { client, peer } = await pair(t, ws);
    const closed = new Promise<Event>((resolve) => (client.onclose = resolve));
    peer.terminate();
    assert.equal((await closed).wasClean, false);
  });

  test("an attribute is null, the function, or null for what is no function", () => {
    const socket = new ws.WebSocket(null, undefined, {});
    for (const name of ["onopen", "onmessage", "onclose", "onerror"] as const) {
      assert.equal(socket[name], null);
      const listener = (): void => {};
      socket[name] = listener;
      assert.equal(socket[name], listener);
      socket[name] = "foo";
      assert.equal(socket[name], null);
      socket[name] = listener;
      socket[name] = null;
      assert.equal(socket[name], null);
    }
    assert.deepEqual(socket.eventNames(), []);
  });

  test("an attribute replaces its listener and leaves others", () => {
    const socket = new ws.WebSocket(null, undefined, {});
    const calls: string[] = [];
    socket.onopen = () => calls.push("first");
    socket.addEventListener("open", () => calls.push("added"));
    socket.on("open", () => calls.push("on"));
    socket.onopen = () => calls.push("second");
    socket.emit("open");
    assert.deepEqual(calls, ["added", "on", "second"]);
    assert.equal(socket.listenerCount("open"), 3);
  });

  test("the same listener is added once, and besides the attribute", () => {
    const socket = new ws.WebSocket(null, undefined, {});
    let calls = 0;
    const listener = (): void => void calls++;
    socket.addEventListener("open", listener);
    socket.addEventListener("open", listener);
    socket.onopen = listener;
    socket.emit("open");
    assert.equal(calls, 2);
  });

  for (const once of [true, 1]) {
    test(`once: ${once} calls a listener one time`, () => {
      const socket = new ws.WebSocket(null, undefined, {});
      let calls = 0;
      socket.addEventListener("open", () => calls++, { once });
      socket.emit("open");
      socket.emit("open");
      assert.equal(calls, 1);
    });
  }

  test("removeEventListener removes what addEventListener added, and not the attribute", () => {
    const socket = new ws.WebSocket(null, undefined, {});
    const listener = (): void => {};
    socket.addEventListener("message", listener);
    socket.addEventListener("open", listener, { once: true });
    socket.onopen = listener;
    socket.removeEventListener("message", listener);
    socket.removeEventListener("open", listener);
    socket.removeEventListener("close", listener);
    assert.equal(socket.listenerCount("message"), 0);
    assert.equal(socket.listenerCount("open"), 1);
    assert.equal(socket.onopen, listener);
  });

  test("events of other types are not available to addEventListener", () => {
    const socket = new ws.WebSocket(null, undefined, {});
    socket.addEventListener("ping", () => {});
    socket.addEventListener("foo", () => {});
    assert.deepEqual(socket.eventNames(), []);
  });

  test("a listener may be an object with handleEvent", () => {
    const socket = new ws.WebSocket(null, undefined, {});
    const seen: unknown[] = [];
    const listener = {
      handleEvent(this: unknown, got: Event): void {
        seen.push(this, got.type);
      },
    };
    socket.addEventListener("open", listener);
    socket.emit("open");
    assert.deepEqual(seen, [listener, "open"]);
    socket.removeEventListener("open", listener);
    assert.equal(socket.listenerCount("open"), 0);
  });

  test("this is the socket, and properties of events are enumerable accessors of their prototype", () => {
    const socket = new ws.WebSocket(null, undefined, {});
    let self: unknown;
    let names: string[] = [];
    socket.addEventListener("message", function listener(this: unknown, got: object) {
      self = this;
      names = [];
      for (const name in got) names.push(name);
    });
    socket.emit("message", Buffer.from("x"), false);
    assert.equal(self, socket);
    assert.deepEqual(names.toSorted(), ["data", "target", "type"]);
  });

  test("text is a string whatever binaryType is; binary has the type", async (t) => {
    const { client, peer } = await pair(t, ws);
    client.binaryType = "arraybuffer";
    const data: unknown[] = [];
    client.onmessage = (got: Event) => data.push(got.data);
    const arrived = message(client).then(() => message(client));
    peer.send("text");
    await event(client, "message");
    peer.send(Buffer.from("x"));
    await arrived;
    assert.equal(data[0], "text");
    assert.ok(data[1] instanceof ArrayBuffer);
  });

  test("a socket with an attribute for errors does not throw", async (t) => {
    const { url } = await wireServer(t, () => "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    const client = new ws.WebSocket(url);
    terminateAfter(t, client);
    const failed = new Promise<Event>((resolve) => (client.onerror = resolve));
    assert.equal((await failed).type, "error");
  });
});
