const NAMED = new Map([
  ["\n", "\\n"],
  ["\r", "\\r"],
]);

/**
 * Makes text safe for a terminal and one line: C0 controls but the tab, DEL and C1 controls become escapes (`\n`, `\x1b`, `\x9b`), and so do
 * the characters that change the direction of what follows.
 */
export function escapeControls(text: string): string {
  return text.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.charCodeAt(0);
    return NAMED.get(character) ?? (code <= 0xff ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`);
  });
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, "0");
}
