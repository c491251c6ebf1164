// The words of version 0.1 that have been replaced by the field's terms. None of them may return:
// STYLE.md has the glossary.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { filesIn, root } from "../workspaces.mjs";

/**
 * Replaced identifiers, and what to use. They are matched as whole words in code outside of
 * comments, and inside backticks in Markdown. `in`: the only folders to which an entry applies,
 * where other code may use the word in its usual sense.
 */
const IDENTIFIERS = [
  { old: ["road", "roads", "Road", "roadOf"], use: "route, path" },
  { old: ["inbox", "Inbox", "inboxSize"], use: "receiveQueue, receiveQueueSize" },
  {
    old: ["passOn", "fed", "follower"],
    use: "writeFrames, cursor, subscriber",
    in: ["packages/tungstate/src/broadcast", "packages/tungstate/src/connection"],
  },
  { old: ["feed", "Feed"], use: "broadcast queue, subscription", in: ["packages/tungstate", "apps"] },
  { old: ["takePiece", "giveBack", "letGo"], use: "acquire, release, evict" },
  { old: ["answerIsDue", "wantsEnd"], use: "hasPendingControlFrames, shouldEndStream", in: ["packages"] },
  { old: ["succession", "Succession"], use: "reconnectLoop" },
  {
    old: ["judge", "verdict", "Verdict"],
    use: "classifyClose, retryDecision, resolveAccess",
    in: ["packages/tungstate/src", "packages/hub/src"],
  },
  { old: ["onLoop", "offLoop"], use: "sync, async" },
  { old: ["wishes", "Wishes", "DeflateWishes", "sentFresh"], use: "deflate options, message without context" },
  { old: ["minProgress"], use: "minDataRate" },
  { old: ["memoryLevel", "asyncSize"], use: "memLevel, asyncThreshold" },
  { old: ["stableAfter", "raceDelay"], use: "resetAfter, attemptDelay" },
  { old: ["husk", "Husk", "agenda", "Agenda"], use: "detached socket, timer wheel" },
  { old: ["holder", "Holder", "holders"], use: "budget entry, entries" },
  { old: ["giveUp"], use: "release, releaseMessage", in: ["packages/protocol/src", "packages/hub/src"] },
  { old: ["gatherSettings", "planOf", "ServePlan"], use: "readSettings, resolveConfig, ServeConfig" },
  { old: ["figures", "Figures", "figuresOf"], use: "metrics, statistics" },
  { old: ["guest"], use: "anonymous client", in: ["packages/cli/src"] },
];

/**
 * Replaced phrases, and what to use. They are matched in code and Markdown, in any case, also
 * across line breaks.
 */
const PHRASES = [
  {
    old: ["that there is not", "that there is none of", "and what is none", "is none of those"],
    use: "unknown, invalid",
  },
  { old: ["what it has to be", "what it should be, or"], use: "valid" },
  { old: ["somebody", "whoever"], use: "the client, the server, the peer, the caller, the application" },
  { old: ["nobody's business", "however long nobody", "nobody has room"], use: "the application, no reader" },
  { old: ["by and by"], use: "in batches, gradually" },
  { old: ["as often as there are any"], use: "all queued so far" },
  { old: ["done with it", "is done with"], use: "has finished with" },
  { old: ["counts as had"], use: "the cursor has advanced" },
  { old: ["no more, or never was"], use: "closed or failed" },
  { old: ["what it holds is anything"], use: "the buffer is uninitialised" },
  { old: ["sign of life"], use: "answer, ping reply" },
  { old: ["on its way to", "on their way to"], use: "in transit to" },
  { old: ["turn of the event loop", "turns of the event loop", "event-loop turn"], use: "event-loop tick" },
  { old: ["in the same turn", "end of the turn", "within one turn", "in one turn", "the next turn"], use: "tick" },
  { old: ["every road", "each road", "other road", "roads in"], use: "route, path" },
  { old: ["off the loop", "off-loop", "on-loop"], use: "asynchronous (thread pool), synchronous" },
  { old: ["kept stream", "kept zlib"], use: "pooled zlib stream" },
  { old: ["for want of"], use: "because of, without" },
  { old: ["is let in", "are let in", "lets nobody in"], use: "is accepted, admitted" },
  { old: ["live figures"], use: "live statistics" },
  { old: ["a file of settings"], use: "settings file" },
  { old: ["for good"], use: "permanently" },
  { old: ["nobody reads", "nobody pulls"], use: "unread, the application does not read" },
  { old: ["counts no more", "count no more"], use: "no longer counts" },
  { old: ["what they have to be", "live with", "lived with"], use: "valid, invalid, acceptable" },
  { old: ["the caller's business", "the client's business", "the extension's business"], use: "handled by" },
  { old: ["hands to the system what waits", "what waits to be written"], use: "writes the buffered output" },
  { old: ["nothing private is looked at"], use: "private APIs are not accessed" },
];

/** Files that must quote old words. */
const QUOTING = [/^CHANGELOG\.md$/, /^docs\/renames\.md$/, /^scripts\/repository\/vocabulary/];
const SKIPPED_FOLDERS = new Set(["node_modules", "dist", "public", "coverage", ".git", "golden", "corpus"]);
const CODE = /\.(?:[cm]?[jt]s|c|h|css|html|sh)$|^\.ci\/run$/;

/** @type {(words: readonly string[]) => RegExp} */
const wholeWords = (words) => new RegExp(`(?<![\\w$])(?:${words.join("|")})(?![\\w$])`, "g");

/** A phrase matches across the line breaks of comments and paragraphs. */
const phrasePattern = (phrases) =>
  new RegExp(
    `(?<!\\w)(?:${phrases.map((phrase) => phrase.replaceAll(" ", "(?:[ \\t]|\\r?\\n[ \\t]*(?:\\*|//|#|>)?[ \\t]?)+")).join("|")})(?!\\w)`,
    "gi",
  );

/**
 * Names of variables and members only: in sentences of strings these words have their usual sense.
 */
const NAMES_ONLY = {
  pattern:
    /(?<=\b(?:const|let|function|get|private|readonly|this) )(?:told|heard|sealed)\b|(?<=[\w)\]]\.)(?:told|heard|sealed)\b/g,
  use: "notified, received, not writable",
  folders: undefined,
  isPhrase: false,
};

const RULES = [
  NAMES_ONLY,
  ...IDENTIFIERS.map(({ old, use, in: folders }) => ({ pattern: wholeWords(old), use, folders, isPhrase: false })),
  ...PHRASES.map(({ old, use }) => ({ pattern: phrasePattern(old), use, folders: undefined, isPhrase: true })),
];

/** Blanks everything outside of backticks, so that positions stay. */
function codeOf(markdown) {
  return markdown.replace(/(`+)([^`]|(?!\1)`)*\1|[^`\n]+/g, (part) =>
    part.startsWith("`") ? part : " ".repeat(part.length),
  );
}

/**
 * Blanks comments, so that positions stay. A comment sign in a string blanks the rest of its line,
 * too.
 */
function withoutComments(code) {
  return code.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, (comment) => comment.replace(/[^\n]/g, " "));
}

/**
 * Returns the old words in a file's text, with line and replacement. `path` is relative to the
 * repository.
 */
export function oldWordsOf(path, text) {
  const isMarkdown = path.endsWith(".md");
  const code = isMarkdown ? codeOf(text) : withoutComments(text);
  const found = [];
  for (const { pattern, use, folders, isPhrase } of RULES) {
    if (folders !== undefined && !folders.some((folder) => path.startsWith(`${folder}/`))) continue;
    for (const { 0: word, index } of (isPhrase ? text : code).matchAll(pattern)) {
      const line = text.slice(0, index).split("\n").length;
      found.push({ line, fault: `${path}:${line}: "${word.replace(/\s*\n\W*/g, " ")}": use ${use}` });
    }
  }
  return found.sort((a, b) => a.line - b.line).map(({ fault }) => fault);
}

function isChecked(path) {
  return (CODE.test(path) || path.endsWith(".md")) && !QUOTING.some((pattern) => pattern.test(path));
}

/** Returns the old words of the repository. */
export function checkVocabulary() {
  return [...filesIn("", SKIPPED_FOLDERS)]
    .filter(isChecked)
    .flatMap((path) => oldWordsOf(path, readFileSync(join(root, path), "utf8")));
}
