import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PROTOCOL_ERRORS, protocolError } from "../../src/errors.ts";
import type { ProtocolErrorCode } from "../../src/errors.ts";
import { buildRefusal, formatResponse, refusalFor } from "../../src/handshake/refusal.ts";
import type { Refusal } from "../../src/handshake/refusal.ts";
import { head, INJECTIONS, refusedWith, text } from "./support.ts";

describe("a rejection", () => {
  const written = (refusal: Refusal, method?: string): string => text(formatResponse(buildRefusal(refusal), method));

  it("declares the length of its body, and closes", () => {
    assert.equal(written({ status: 403 }), head("HTTP/1.1 403 Forbidden", "Content-Length: 0", "Connection: close"));
    const plain = ["Content-Length: 4", "Connection: close", "Content-Type: text/plain; charset=utf-8"];
    assert.equal(
      written({ status: 401, body: "n\u00e4h" }),
      `${head("HTTP/1.1 401 Unauthorized", ...plain)}n\xc3\xa4h`,
    );
    const bytes = Uint8Array.of(0, 255);
    assert.equal(
      written({ status: 503, body: bytes }),
      `${head("HTTP/1.1 503 Service Unavailable", "Content-Length: 2", "Connection: close")}\0\xff`,
    );
  });

  it("has the caller's header fields", () => {
    const headers = { "CONTENT-type": "application/json", "WWW-Authenticate": ["Basic", "Digest"] };
    const lines = ["CONTENT-type: application/json", "WWW-Authenticate: Basic", "WWW-Authenticate: Digest"];
    assert.equal(
      written({ status: 401, headers, body: "{}" }),
      `${head("HTTP/1.1 401 Unauthorized", "Content-Length: 2", "Connection: close", ...lines)}{}`,
    );
  });

  it("with 426 names the protocol to upgrade to", () => {
    assert.equal(written({ status: 426 }), head("HTTP/1.1 426 Upgrade Required", "Content-Length: 0", "Connection: close, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")); // prettier-ignore
  });

  it("to HEAD has no body, but its length", () => {
    const plain = ["Content-Length: 1", "Connection: close", "Content-Type: text/plain; charset=utf-8"];
    assert.equal(written({ status: 404, body: "x" }, "HEAD"), head("HTTP/1.1 404 Not Found", ...plain));
  });

  it("has the name of its status", () => {
    const names = new Map([
      [301, "Moved Permanently"],
      [302, "Found"],
      [303, "See Other"],
      [307, "Temporary Redirect"],
      [308, "Permanent Redirect"],
      [400, "Bad Request"],
      [401, "Unauthorized"],
      [402, "Payment Required"],
      [403, "Forbidden"],
      [404, "Not Found"],
      [405, "Method Not Allowed"],
      [407, "Proxy Authentication Required"],
      [408, "Request Timeout"],
      [409, "Conflict"],
      [410, "Gone"],
      [413, "Content Too Large"],
      [414, "URI Too Long"],
      [421, "Misdirected Request"],
      [422, "Unprocessable Content"],
      [426, "Upgrade Required"],
      [429, "Too Many Requests"],
      [431, "Request Header Fields Too Large"],
      [451, "Unavailable For Legal Reasons"],
      [500, "Internal Server Error"],
      [501, "Not Implemented"],
      [502, "Bad Gateway"],
      [503, "Service Unavailable"],
      [504, "Gateway Timeout"],
      [505, "HTTP Version Not Supported"],
      [511, "Network Authentication Required"],
    ]);
    for (let status = 300; status < 600; status++) {
      if (status !== 304) assert.equal(buildRefusal({ status }).reason, names.get(status) ?? "");
    }
  });

  it("may have a status without a name", () => {
    assert.equal(written({ status: 599 }).split("\r\n")[0], "HTTP/1.1 599 ");
    assert.equal(written({ status: 300 }).split("\r\n")[0], "HTTP/1.1 300 ");
  });

  for (const status of [101, 200, 204, 299, 304, 600, 403.5, NaN, Infinity, "403", undefined]) {
    it(`rejects status ${String(status)}`, () => {
      assert.throws(
        () => buildRefusal({ status: status as number }),
        refusedWith("INVALID_ARGUMENT", /status must be an integer/),
      );
    });
  }

  it("rejects another type of body", () => {
    for (const body of [5, null, {}, [1]]) {
      assert.throws(
        () => buildRefusal({ status: 403, body: body as unknown as string }),
        refusedWith("INVALID_ARGUMENT", /body must be a string or a Uint8Array, got /),
      );
    }
  });

  it("rejects invalid header fields", () => {
    for (const injection of INJECTIONS) {
      assert.throws(
        () => buildRefusal({ status: 403, headers: { "X-A": injection } }),
        refusedWith("INVALID_ARGUMENT", /X-A/),
      );
      assert.throws(
        () => buildRefusal({ status: 403, headers: { [injection]: "x" } }),
        refusedWith("INVALID_ARGUMENT"),
      );
    }
    for (const name of ["Content-Length", "connection", "Upgrade", "Transfer-Encoding", "Sec-WebSocket-Version"]) {
      assert.throws(() => buildRefusal({ status: 403, headers: { [name]: "0" } }), refusedWith("INVALID_ARGUMENT"));
    }
  });
});

describe("the rejection for an error", () => {
  for (const code of Object.keys(PROTOCOL_ERRORS) as ProtocolErrorCode[]) {
    const error = protocolError(code, "detail");
    it(`${code}: ${error.status ?? 500}`, () => {
      const { status, headers, body, reason } = refusalFor(error);
      assert.equal(status, error.status ?? 500);
      assert.notEqual(reason, "");
      const field = (wanted: string): string | undefined => headers.find(([name]) => name === wanted)?.[1];
      assert.equal(field("Content-Type"), "text/plain; charset=utf-8");
      assert.equal(text(body), error.status === undefined ? "Internal Server Error\n" : `${error.message}\n`);
      const allowed = code === "METHOD_NOT_CONNECT" ? "CONNECT" : "GET";
      assert.equal(field("Allow"), status === 405 ? allowed : undefined);
      assert.equal(field("Sec-WebSocket-Version"), status === 426 ? "13" : undefined);
      assert.equal(field("Upgrade"), status === 426 ? "websocket" : undefined);
    });
  }
});
