import assert from "node:assert/strict";
import { test } from "node:test";
import { checkVocabulary, oldWordsOf } from "./vocabulary.mjs";

test("oldWordsOf finds old identifiers in code, with line and replacement", () => {
  assert.deepEqual(oldWordsOf("packages/x/src/a.ts", "const a = 1;\nconst inboxSize = a;\n"), [
    'packages/x/src/a.ts:2: "inboxSize": use receiveQueue, receiveQueueSize',
  ]);
});

test("oldWordsOf finds old identifiers of Markdown inside backticks only", () => {
  assert.deepEqual(oldWordsOf("docs/a.md", "A road by the sea.\n\nThe option `road`.\n"), [
    'docs/a.md:3: "road": use route, path',
  ]);
});

test("oldWordsOf matches whole words", () => {
  assert.deepEqual(oldWordsOf("packages/x/src/a.ts", "broadcast(crossroads, untold, feeder);"), []);
});

test("oldWordsOf finds old phrases across the line breaks of comments and paragraphs", () => {
  const code = "/**\n * An option that there\n * is not.\n */\n// flushed by\n// and by\n";
  assert.deepEqual(oldWordsOf("packages/x/src/a.ts", code), [
    'packages/x/src/a.ts:2: "that there is not": use unknown, invalid',
    'packages/x/src/a.ts:5: "by and by": use in batches, gradually',
  ]);
  assert.equal(oldWordsOf("docs/a.md", "Whoever\nasks by\nand by.\n").length, 2);
});

test("oldWordsOf limits some words to the folders in which they were replaced", () => {
  assert.equal(oldWordsOf("packages/tungstate/src/a.ts", "const verdict = 1;").length, 1);
  assert.equal(oldWordsOf("conformance/a.ts", "const verdict = 1;").length, 0);
});

test("the repository has no old words", () => {
  assert.deepEqual(checkVocabulary(), []);
});
