/** Calls `change` with the parts of a Markdown text that are in no fenced block. */
function outsideFences(text: string, change: (part: string) => string): string {
  return text
    .split(/(^```[^]*?^```$)/m)
    .map((part, at) => (at % 2 === 0 ? change(part) : part))
    .join("");
}

/** A target in parentheses after a link's text or a picture's description. */
const TARGET = /(\]\()([^)\s]+)(\))/g;

/** Replaces the targets of links and pictures within the repository; others stay. */
export function replaceTargets(text: string, replace: (path: string, anchor: string) => string): string {
  return outsideFences(text, (part) =>
    part.replace(TARGET, (whole, open: string, target: string, close: string) => {
      if (/^[a-z]+:/.test(target) || target.startsWith("#")) return whole;
      const at = target.indexOf("#");
      const [path, anchor] = at < 0 ? [target, ""] : [target.slice(0, at), target.slice(at)];
      return `${open}${replace(path, anchor)}${close}`;
    }),
  );
}

/** Returns the text of the first heading. */
export function headingOf(text: string): string {
  return /^# (.*)$/m.exec(text)?.[1] ?? "";
}

/** Returns the first paragraph below the first heading in one line, as plain text. */
export function summaryOf(text: string): string {
  const below = text.slice(Math.max(text.search(/^# .*$/m), 0)).replace(/^# .*$/m, "");
  const paragraph = below
    .split(/\n{2,}/)
    .map((each) => each.trim())
    .find((each) => /^[^#|`!<-]|^`[^`]/.test(each) && !/^Exported by `[^`]+`\.$/.test(each));
  return (paragraph ?? "").replaceAll("\n", " ").replace(/\[([^\]]*)\]\([^)]*\)/g, "$1");
}

/** Returns a text up to the end of its first sentence. */
export function firstSentence(text: string): string {
  return /^.*?[.?](?= |$)/.exec(text)?.[0] ?? text;
}

/**
 * Returns the anchor of a heading as repository hosts make it. VitePress uses it, so that one link
 * works in both places.
 */
export function anchorOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}
