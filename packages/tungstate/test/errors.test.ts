import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PROTOCOL_ERRORS, WebSocketError } from "@tungstate/protocol";
import { checkErrorsPage } from "../../protocol/test/support/errors-page.ts";
import {
  abortedError,
  ConnectError,
  connectError,
  CONNECTION_ERRORS,
  describeTried,
  ENDPOINT_ERRORS,
} from "../src/errors.ts";
import { RECONNECTING_ERRORS } from "../src/reconnecting/core/errors.ts";
import { SERVER_ERRORS } from "../src/server/errors.ts";

test("docs/errors.md describes each error as its table does, and no other", () => {
  checkErrorsPage("tungstate", CONNECTION_ERRORS, ENDPOINT_ERRORS, SERVER_ERRORS, RECONNECTING_ERRORS);
});

describe("ConnectError", () => {
  test("is a WebSocketError that names the failed step and what was tried", () => {
    const cause = new Error("connect ECONNREFUSED");
    const tried = { remoteAddress: "::1", remotePort: 443, localAddress: "::2", interface: "lo", host: "example.com" };
    const error = connectError("REFUSED", "detail", { cause, tried });
    assert.ok(error instanceof ConnectError && error instanceof WebSocketError);
    assert.deepEqual([error.code, error.step, error.fault, error.cause], ["REFUSED", "connect", "transport", cause]);
    assert.equal(error.message, "the host refused the connection: detail, to [::1]:443 (example.com) from ::2 on lo");
    assert.deepEqual(error.tried, tried);
    assert.equal(connectError("ABORTED", undefined, { step: "proxy" }).step, "proxy");
    assert.equal(connectError("ABORTED").message, CONNECTION_ERRORS.ABORTED.text);
    assert.ok(!("cause" in connectError("ABORTED")));
  });

  test("what was tried is described in words", () => {
    assert.equal(describeTried(), "");
    assert.equal(describeTried({ host: "a.example", remotePort: 80 }), "to a.example:80");
    assert.equal(describeTried({ path: "/run/socket" }), "to /run/socket");
    assert.equal(describeTried({ localAddress: "10.0.0.1", localPort: 99 }), "from 10.0.0.1:99");
    assert.equal(describeTried({ localPort: 99 }), "from port 99");
    assert.equal(describeTried({ host: "a", proxy: "http://p:1" }), "to a through http://p:1");
  });

  test("each code is in one table only", () => {
    const tables = [PROTOCOL_ERRORS, CONNECTION_ERRORS, ENDPOINT_ERRORS, SERVER_ERRORS, RECONNECTING_ERRORS];
    const codes = tables.flatMap((table) => Object.keys(table));
    assert.equal(new Set(codes).size, codes.length);
  });
});

describe("an aborted signal's error", () => {
  test("is its reason if that is one of ours", () => {
    const reason = connectError("HANDSHAKE_TIMEOUT");
    assert.equal(abortedError(AbortSignal.abort(reason)), reason);
  });

  test("is TIMEOUT for AbortSignal.timeout(), else ABORTED, with the reason as its cause", async (t) => {
    const alive = setInterval(() => undefined, 1_000); // the timer of AbortSignal.timeout() does not keep the process running
    t.after(() => clearInterval(alive));
    const timeout = AbortSignal.timeout(1);
    await new Promise((resolve) => timeout.addEventListener("abort", resolve));
    assert.equal(abortedError(timeout).code, "TIMEOUT");
    const error = abortedError(AbortSignal.abort("why not"), { step: "tls", tried: { host: "a.example" } });
    assert.ok(error instanceof ConnectError);
    assert.deepEqual(
      [error.code, error.step, error.cause, error.tried.host],
      ["ABORTED", "tls", "why not", "a.example"],
    );
  });
});
