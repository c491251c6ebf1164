import assert from "node:assert/strict";
import { test } from "node:test";
import { type Ending, explainEnding } from "../../src/connection/reason.ts";

function explain(ending: Partial<Ending>): string {
  return explainEnding({ code: 1006, reason: "", wasOpen: true, silent: false, offline: false, ...ending });
}

test("a close event is described in a sentence", () => {
  assert.equal(explain({}), "The connection was lost.");
  assert.equal(explain({ wasOpen: false }), "The server cannot be reached.");
  assert.equal(explain({ silent: true }), "The server does not respond.");
  assert.equal(explain({ offline: true, silent: true }), "You are offline.");
  assert.equal(explain({ code: 1001 }), "The server is shutting down.");
  assert.equal(explain({ code: 1012 }), "The server is restarting.");
  assert.equal(explain({ code: 4000 }), "The server closed the connection (code 4000).");
});

test("the server's reason is quoted", () => {
  assert.equal(explain({ code: 1012, reason: "version 2" }), "The server is restarting: “version 2”.");
  assert.equal(explain({ code: 4000, reason: "why" }), "The server closed the connection (code 4000): “why”.");
});
