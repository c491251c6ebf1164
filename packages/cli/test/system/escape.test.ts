import assert from "node:assert/strict";
import { test } from "node:test";
import { escapeControls } from "../../src/system/escape.ts";

test("escapeControls escapes all control characters except the tab", () => {
  const controls = Array.from({ length: 0x20 }, (_, code) => String.fromCharCode(code)).join("");
  const more = Array.from({ length: 0x21 }, (_, code) => String.fromCharCode(0x7f + code)).join("");
  const escaped = escapeControls(`${controls}${more}\u202e\u2066`);
  assert.doesNotMatch(escaped.replace("\t", ""), /[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
  assert.equal(escapeControls("\u0000\t\n\r\u001b[0m\u007f\u009b"), "\\x00\t\\n\\r\\x1b[0m\\x7f\\x9b");
});

test("escapeControls keeps all other characters", () => {
  const text = "plain, Grüße, 日本語, 🌡, a\u200db, \u00a0, \\n";
  assert.equal(escapeControls(text), text);
});
