/**
 * Returns a short description of a value for an error message, without content that may be large or
 * secret.
 */
export function describe(value: unknown): string {
  if (typeof value === "string")
    return value.length <= 40 ? JSON.stringify(value) : `a string of ${value.length} characters`;
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null) return value.constructor?.name ?? "an object";
  return String(value);
}
