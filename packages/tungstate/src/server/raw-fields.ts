/** Returns the pairs of Node's flat list of the names and values of header fields. */
export function pairsOf(raw: readonly string[]): [name: string, value: string][] {
  const fields: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) fields.push([raw[at], raw[at + 1]]);
  return fields;
}
