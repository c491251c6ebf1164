// Python's websockets 16.1: data of a peer was printed to the terminal unchanged, with its escape
// sequences.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect } from "tungstate";
import { answering, listening, serve } from "./support/ends.ts";
import { request, response } from "./support/handshakes.ts";
import { CLOSE, closePayload, frame, TEXT } from "./support/frames.ts";
import { Program } from "./support/program.ts";
import { valuesOf, Wire } from "./support/wire.ts";

/**
 * Terminal sequences: clear, title, hyperlink, paste, bell, line break, their C1 forms, and
 * right-to-left text.
 */
const ESCAPES = [
  "\x1b[2J\x1b[H",
  "\x1b]0;title\x07",
  "\x1b]8;;http://evil.test\x1b\\link\x1b]8;;\x1b\\",
  "\x1b[201~rm -rf\r",
  "\x1bP+q\x1b\\",
  "a\rb\bc\x7fd\0e\vf\fg",
  "line\nanother",
  "\u009b31m\u009d0;title\u009c",
  "\u202egnp.exe\u2066\u2069",
];

/** Everything a terminal interprets, except the tab and the line feed. */
const ACTIVE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

function assertHarmless(text: string): void {
  assert.doesNotMatch(text, ACTIVE);
}

describe("cli: tungstate connect escapes received data", () => {
  test("messages: one line each", async (t) => {
    const served = await serve(t);
    const program = new Program(t, ["connect", `ws://127.0.0.1:${served.port}/`], "");
    const connection = await served.connection();
    for (const text of ESCAPES) connection.write(text);
    await connection.close();
    await program.ended;
    assert.equal(program.stdout.split("\n").length, ESCAPES.length + 1);
    assertHarmless(program.stdout);
    assertHarmless(program.stderr);
    assert.match(program.stdout, /^\\x1b\[2J\\x1b\[H\n/);
  });

  test("the reason of a Close, of at most 123 bytes", async (t) => {
    for (const text of [ESCAPES.slice(0, 5).join(""), ESCAPES.slice(5).join("")]) {
      const served = await serve(t);
      const program = new Program(t, ["connect", `ws://127.0.0.1:${served.port}/`]);
      const connection = await served.connection();
      await connection.close(4000, text);
      assert.equal(await program.ended, 1);
      assertHarmless(program.stderr);
      assert.equal(program.stderr.split("\n").length, 3);
    }
  });

  test("a rejected handshake: its reason, body, Location and other header fields", async (t) => {
    const parts = ESCAPES.map((text) => text.replace(/[\r\n\0]/g, ""));
    for (const text of [parts.join(""), ...parts.slice(0, 1)]) {
      const { port, wire } = await listening(t);
      const program = new Program(t, ["connect", `ws://127.0.0.1:${port}/`], "");
      const body = Buffer.from(`${text}\n${ESCAPES.join()}`);
      const latin = text.replace(/[\u0000-\u001f\u007f]|[^\u0000-\u00ff]/g, "");
      const head = `HTTP/1.1 302 Found ${latin}\r\nLocation: ws://localhost/${latin}\r\nContent-Length: ${body.length}\r\n\r\n`;
      const peer = await wire;
      await peer.head();
      peer.send(Buffer.from(head, "latin1"), body);
      assert.equal(await program.ended, 1);
      assertHarmless(program.stderr);
      assert.equal(program.stderr.split("\n").length, 2);
    }
  });

  test("an invalid response, and a subprotocol and an extension that were not offered", async (t) => {
    const answers = [
      (key: string) => response(key, {}, "HTTP/1.1 101 \u009b31m"),
      (key: string) => response(key, { "Sec-WebSocket-Protocol": "\u009b31m" }),
      (key: string) => response(key, { "Sec-WebSocket-Extensions": "a\u009b31m" }),
      (key: string) => response(key, { Upgrade: "\u009b31m" }),
      (key: string) => response(key, { "Sec-WebSocket-Accept": "\u009b31m" }),
      () => "\x1b[2J\x1b[2J HTTP\r\n\r\n",
    ];
    for (const answer of answers) {
      const { port, wire } = await listening(t);
      const program = new Program(t, ["connect", `ws://127.0.0.1:${port}/`], "");
      const peer = await wire;
      const [key = ""] = valuesOf(await peer.head(), "Sec-WebSocket-Key");
      peer.send(Buffer.from(answer(key), "latin1"), frame(CLOSE, closePayload(1000), false));
      peer.stream.end();
      await program.ended;
      assertHarmless(program.stderr);
      assertHarmless(program.stdout);
    }
  });

  test("its own arguments", async (t) => {
    // an argument of a process cannot contain it
    const text = ESCAPES.join("").replaceAll("\0", "");
    const url = "ws://127.0.0.1:9/";
    for (const args of [[`ws://${text}/`], [text], ["--protocol", text, url], ["--interface", text, url]]) {
      const program = new Program(t, ["connect", ...args], "");
      assert.equal(await program.ended, 1);
      assertHarmless(program.stderr);
    }
  });
});

test("cli: the log of tungstate serve escapes them", async (t) => {
  const program = new Program(t, ["serve", "--port", "0", "--log-level", "debug"]);
  const [, port = ""] = await program.shows(/^listening on http:\/\/127\.0\.0\.1:(\d+)/);
  for (const text of ESCAPES) {
    const latin = text.replace(/[\r\n\0]|[^\u0000-\u00ff]/g, "");
    for (const changes of [
      { Origin: latin },
      { "Sec-WebSocket-Key": latin },
      { "Sec-WebSocket-Protocol": latin },
      { Host: latin },
    ]) {
      const wire = await Wire.to(t, Number(port));
      wire.send(Buffer.from(request(changes, "GET /ws HTTP/1.1"), "latin1"));
      await wire.until((got) => got.includes("\r\n\r\n"));
      wire.stream.destroy();
    }
    const socket = await connect(`ws://127.0.0.1:${port}/ws`, { proxy: false });
    await socket.close(4000, text.slice(0, 30));
  }
  await program.stop();
  assert.match(program.stderr, /"refused"/);
  assertHarmless(program.stderr);
});

test("server and client: error messages escape them", async (t) => {
  for (const changes of [
    { Upgrade: "\u009b31m" },
    { "Sec-WebSocket-Protocol": "\u009b" },
    { "Sec-WebSocket-Extensions": "x\u009b" },
  ]) {
    const { port } = await answering(t, changes);
    await assert.rejects(connect(`ws://127.0.0.1:${port}/`, { proxy: false }), (error: unknown) => {
      assertHarmless((error as Error).message);
      return true;
    });
  }
  const served = await serve(t);
  for (const changes of [{ Upgrade: "\u009b31m" }, { "Sec-WebSocket-Key": "\u009b" }, { Host: "\u009b" }]) {
    const wire = await Wire.to(t, served.port);
    wire.send(Buffer.from(request(changes), "latin1"), frame(TEXT, "", true));
    const answer = await wire.end();
    assert.ok(!answer.includes(0x9b));
    assertHarmless((await served.refusal()).message);
  }
});
