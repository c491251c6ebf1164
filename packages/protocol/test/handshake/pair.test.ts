import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ClientHandshake } from "../../src/handshake/client-handshake.ts";
import type { ClientExtension, ServerExtension } from "../../src/handshake/extensions.ts";
import { refusalFor } from "../../src/handshake/refusal.ts";
import { ServerHandshake } from "../../src/handshake/server-handshake.ts";
import { chooseProtocol } from "../../src/handshake/upgrade-request.ts";
import { bytes, cut, feed, sha1, text } from "./support.ts";

function random(target: Uint8Array): void {
  crypto.getRandomValues(target);
}

const token = fc.string({ unit: fc.constantFrom(..."!#$%&'*+-.^_`|~09azAZ"), minLength: 1, maxLength: 8 });
const names = fc.uniqueArray(token, { maxLength: 4 });
const places = fc.array(fc.nat(), { maxLength: 8 });

/** Agrees on the larger of two numbers, so that both sides can compare. */
const serverSide = (name: string): ServerExtension<{ level: string }> => ({
  name,
  rsv: 0,
  answer: ([{ params }]) => {
    const level = String(Math.max(5, Number(params[0]?.[1])));
    return { params: [["level", level]], negotiated: { level } };
  },
});

const clientSide = (name: string, level: number): ClientExtension<{ level: string }> => ({
  name,
  rsv: 0,
  offers: [{ name, params: [["level", String(level)]] }],
  accept: ([[, answered]]) => (answered === true ? "no level" : { level: answered }),
});

describe("a client's and a server's handshake", () => {
  it("reach the same agreement in any chunks, with the bytes after it on both sides", () => {
    const options = fc.record({
      offered: names,
      supported: names,
      extensions: names,
      level: fc.nat(9),
      early: fc.uint8Array({ maxLength: 40 }),
      late: fc.uint8Array({ maxLength: 40 }),
      value: fc.string({ unit: "grapheme-ascii", maxLength: 20 }).filter((value) => value === value.trim()),
    });
    fc.assert(
      fc.property(
        options,
        places,
        places,
        ({ offered, supported, extensions, level, early, late, value }, there, back) => {
          const client = new ClientHandshake({
            host: "example.com:8080",
            target: "/chat?x",
            origin: "http://example.com",
            protocols: offered,
            headers: { "X-Value": value },
            extensions: extensions.map((name) => clientSide(name, level)),
            random,
            sha1,
          });
          const server = new ServerHandshake({ sha1, extensions: extensions.slice(1).map(serverSide) });

          const request = Uint8Array.of(...client.request(), ...early);
          const asked = feed(server, cut(request, there));
          assert.ok(asked.progress.state === "request");
          for (const chunk of asked.left) assert.equal(server.receive(chunk).state, "more");
          const { host, target, origin, protocols, headers } = asked.progress.request;
          assert.deepEqual(
            { host, target, origin },
            { host: "example.com:8080", target: "/chat?x", origin: "http://example.com" },
          );
          assert.deepEqual(protocols, offered);
          assert.equal(headers.get("x-value"), value);

          const protocol = chooseProtocol(protocols, supported);
          const accepted = server.accept({ protocol, headers: { "X-Value": value } });
          assert.deepEqual(accepted.rest, early);

          const answered = feed(client, cut(Uint8Array.of(...accepted.response, ...late), back));
          const { progress } = answered;
          assert.ok(progress.state === "open", JSON.stringify(progress));
          assert.equal(text(progress.rest) + answered.left.map(text).join(""), text(late));
          assert.equal(progress.protocol, protocol ?? "");
          assert.equal(progress.headers.get("x-value"), value);
          assert.equal(progress.extensionsHeader, accepted.extensionsHeader);
          assert.deepEqual(progress.extensions, accepted.extensions);
          assert.equal(progress.extensions.length, Math.max(0, extensions.length - 1));
        },
      ),
    );
  });

  it("reach the same rejection in any chunks", () => {
    const options = fc.record({
      status: fc.integer({ min: 300, max: 599 }).filter((status) => status !== 304),
      body: fc.oneof(fc.uint8Array(), fc.string({ unit: "grapheme" })),
    });
    fc.assert(
      fc.property(options, places, ({ status, body }, back) => {
        const client = new ClientHandshake({ host: "example.com", target: "/", random, sha1 });
        const server = new ServerHandshake({ sha1 });
        assert.equal(server.receive(client.request()).state, "request");
        const { progress } = feed(client, cut(server.refuse({ status, body, headers: { "X-Why": "because" } }), back));
        assert.ok(progress.state === "rejected");
        const { response } = progress;
        assert.equal(response.status, status);
        assert.equal(response.headers.get("x-why"), "because");
        assert.deepEqual(response.body, typeof body === "string" ? new TextEncoder().encode(body) : body);
        assert.ok(!response.truncated);
      }),
    );
  });

  it("report the server's reason to the client", () => {
    const client = new ClientHandshake({ host: "example.com", target: "/", random, sha1 });
    const wrong = text(client.request()).replace("Version: 13", "Version: 12");
    const refused = new ServerHandshake({ sha1 }).receive(bytes(wrong));
    assert.ok(refused.state === "refused");
    const progress = client.receive(refused.response);
    assert.ok(progress.state === "rejected");
    assert.equal(progress.response.status, 426);
    assert.equal(progress.response.headers.get("sec-websocket-version"), "13");
    assert.deepEqual(progress.response.body, refusalFor(refused.error).body);
  });
});
