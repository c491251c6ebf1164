const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const BASE64URL = /^[A-Za-z0-9_-]*={0,2}$/;

/**
 * Returns the JSON that `text` has in base64 (RFC 4648 §4 or §5, with or without padding). Throws
 * for anything else: Buffer.from() would skip invalid characters.
 */
export function jsonOfBase64(text: string): string {
  const length = text.replace(/=+$/, "").length;
  const isPadded = length < text.length;
  const isValid = (BASE64.test(text) || BASE64URL.test(text)) && length % 4 !== 1;
  if (!isValid || (isPadded && text.length % 4 !== 0)) throw new SyntaxError("invalid base64");
  const json = new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(text, "base64"));
  JSON.parse(json);
  return json;
}
