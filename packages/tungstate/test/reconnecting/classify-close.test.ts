import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HeaderFields, protocolError, type WebSocketError } from "@tungstate/protocol";
import { HandshakeRejectedError } from "../../src/client/client.ts";
import { connectError, CONNECTION_ERRORS, type ConnectionErrorCode, endpointError } from "../../src/errors.ts";
import { reconnectingError } from "../../src/reconnecting/core/errors.ts";
import { classifyFailure, retryAfter } from "../../src/reconnecting/classify-failure.ts";
import { classifyCloseInfo, type RetryDecision } from "../../src/reconnecting/core/close-decision.ts";

const MAX_DELAY = 30_000; // ms
const CIRCUMSTANCES = { mayRefresh: false, now: Date.UTC(2026, 10, 21) };

/** `again` with the minimum delay in ms, or the code of the error. */
function closed(code: number, error?: WebSocketError): string {
  return show(classifyCloseInfo({ code, reason: "why", clean: error === undefined, error }, MAX_DELAY));
}

function failed(error: WebSocketError, mayRefresh = false): string {
  return show(classifyFailure(error, { ...CIRCUMSTANCES, mayRefresh }));
}

function show(decision: RetryDecision): string {
  if (!decision.again) return decision.error?.code ?? "done";
  const { notBefore, spread } = decision.hint;
  return notBefore === 0 ? "again" : `again after ${notBefore}, over ${spread}`;
}

function rejected(status: number, fields: [string, string][] = []): HandshakeRejectedError {
  const headers = new HeaderFields(fields);
  const response = { status, reason: "", headers, body: new Uint8Array(0), truncated: false };
  return new HandshakeRejectedError(response, protocolError("UNEXPECTED_STATUS"));
}

describe("after a close", () => {
  const table: Record<number, string> = {
    1000: "done",
    1001: "again",
    1002: "FATAL_CLOSE",
    1003: "FATAL_CLOSE",
    1005: "again",
    1006: "again",
    1007: "FATAL_CLOSE",
    1008: "FATAL_CLOSE",
    1009: "FATAL_CLOSE",
    1010: "FATAL_CLOSE",
    1011: "again",
    1012: "again after 5000, over 25000",
    1013: "again after 30000, over 30000",
    1014: "again",
    3000: "again",
    4000: "again",
    4999: "again",
  };
  for (const [code, expected] of Object.entries(table)) {
    test(`${code}: ${expected}`, () => assert.equal(closed(Number(code)), expected));
  }

  test("of the transport: retry", () => {
    assert.equal(closed(1006, protocolError("CONNECTION_LOST")), "again");
    assert.equal(closed(1006, protocolError("HEARTBEAT_TIMEOUT")), "again");
  });

  test("with the server's reason counts even if its Close was not answered in time", () => {
    assert.equal(closed(1008, protocolError("CLOSE_TIMEOUT")), "FATAL_CLOSE");
    assert.equal(closed(1012, protocolError("CONNECTION_LOST")), "again after 5000, over 25000");
  });

  test("with our own code for the server's violation, echoed, is not the server's reason", () => {
    assert.equal(closed(1002, protocolError("RESERVED_BITS")), "again");
    assert.equal(closed(1009, protocolError("MESSAGE_TOO_BIG")), "again");
  });

  test("by this side: stop", () => {
    assert.equal(closed(1011, endpointError("HANDLER_FAILED")), "HANDLER_FAILED");
    assert.equal(closed(1006, endpointError("CLOSED_BY_SIGNAL")), "CLOSED_BY_SIGNAL");
  });
});

describe("after another response", () => {
  for (const status of [200, 204, 301, 302, 307, 408, 425, 429, 500, 502, 503, 504]) {
    test(`${status}: retry`, () => assert.equal(failed(rejected(status)), "again"));
  }
  for (const status of [400, 401, 402, 403, 404, 405, 410, 421, 426, 431]) {
    test(`${status}: stop`, () => assert.equal(failed(rejected(status)), "UNEXPECTED_STATUS"));
  }
  test("401 and 403: retry if other credentials can be obtained", () => {
    assert.equal(failed(rejected(401), true), "again");
    assert.equal(failed(rejected(403), true), "again");
    assert.equal(failed(rejected(404), true), "UNEXPECTED_STATUS");
  });
  test("Retry-After is obeyed, up to an hour", () => {
    assert.equal(failed(rejected(503, [["Retry-After", "7"]])), "again after 7000, over 0");
    assert.equal(failed(rejected(429, [["Retry-After", "86400"]])), "again after 3600000, over 0");
    assert.equal(failed(rejected(404, [["Retry-After", "7"]])), "UNEXPECTED_STATUS");
  });
});

describe("after a failed attempt", () => {
  const fatal: readonly ConnectionErrorCode[] = [
    "INVALID_URL",
    "PACKAGE_MISSING",
    "NOT_SUPPORTED",
    "BIND_NOT_PERMITTED",
    "INVALID_PROXY",
    "PROXY_DENIED",
    "PROXY_AUTH",
    "TLS_CLIENT_CERTIFICATE",
  ];
  for (const code of Object.keys(CONNECTION_ERRORS) as ConnectionErrorCode[]) {
    const expected = fatal.includes(code) ? code : "again";
    test(`${code}: ${expected}`, () => assert.equal(failed(connectError(code)), expected));
  }
  test("invalid options: stop", () => assert.equal(failed(reconnectingError("INVALID_OPTIONS")), "INVALID_OPTIONS"));
  test("no token this time: retry", () => {
    assert.equal(failed(reconnectingError("PROVIDER_FAILED")), "again");
    assert.equal(failed(reconnectingError("PROVIDER_TIMEOUT")), "again");
  });
});

describe("Retry-After", () => {
  const now = Date.UTC(1999, 11, 31, 23, 59, 50);
  const table: [string, string | undefined, number | undefined][] = [
    ["120", undefined, 120_000],
    ["0", undefined, 0],
    ["Fri, 31 Dec 1999 23:59:59 GMT", undefined, 9_000],
    ["Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:00 GMT", 59_000],
    ["Fri, 31 Dec 1999 23:59:59 GMT", "not a date", 9_000],
    ["Fri, 31 Dec 1998 23:59:59 GMT", undefined, 0],
    ["-5", undefined, undefined],
    ["1.5", undefined, undefined],
    ["soon", undefined, undefined],
    ["", undefined, undefined],
  ];
  for (const [value, date, expected] of table) {
    test(`${JSON.stringify(value)}${date === undefined ? "" : ` at ${date}`}: ${expected}`, () => {
      const fields: [string, string][] = [["Retry-After", value]];
      if (date !== undefined) fields.push(["Date", date]);
      assert.equal(retryAfter(new HeaderFields(fields), now), expected);
    });
  }
  test("none", () => assert.equal(retryAfter(new HeaderFields(), now), undefined));
});
