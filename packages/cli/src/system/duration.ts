const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/**
 * Parses "90", "90s", "15m", "1h" or "7d". Returns seconds, or undefined if the text has another
 * form or is zero.
 */
export function secondsOf(text: string): number | undefined {
  const [, digits = "", unit] = /^(\d{1,9})([smhd]?)$/.exec(text) ?? [];
  const scale = unit === "m" || unit === "h" || unit === "d" ? SECONDS[unit] : SECONDS.s;
  const seconds = Number(digits) * scale;
  return seconds > 0 ? seconds : undefined;
}
