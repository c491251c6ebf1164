/** Returns rows as a table with aligned columns. Columns of numbers are aligned to the right. */
export function tableOf(head, rows) {
  const all = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, at) => Math.max(...all.map((row) => row[at].length)));
  const isNumber = head.map((_, at) => rows.every((row) => /^[\d.]/.test(String(row[at]))));
  return all
    .map((row) => row.map((cell, at) => (isNumber[at] ? cell.padStart(widths[at]) : cell.padEnd(widths[at]))))
    .map((row) => row.join("  ").trimEnd())
    .join("\n");
}

/** Returns a number of bytes in kB. */
export function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`;
}
