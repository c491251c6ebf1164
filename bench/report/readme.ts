/** The peers in the ratios in README.md, as columns of the table of ratios. */
const COLUMNS = ["/ ws", "/ uWebSockets.js"];

function cellsOf(line: string): string[] {
  return line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}

/** Returns the ratios of a page by the name of their row: the cells of `COLUMNS`. */
function ratiosIn(page: string): Map<string, string[]> {
  const ratios = new Map<string, string[]>();
  let header: string[] | undefined;
  for (const line of page.split("\n")) {
    if (!line.startsWith("|")) header = undefined;
    else if (header === undefined) header = cellsOf(line);
    else if (COLUMNS.every((column) => header?.includes(column))) {
      const cells = cellsOf(line);
      const row = COLUMNS.map((column) => cells[header?.indexOf(column) ?? -1] ?? "");
      if (!/^[-: ]*$/.test(cells[0] ?? "") && !ratios.has(cells[0] ?? "")) ratios.set(cells[0] ?? "", row);
    }
  }
  return ratios;
}

/** Returns README.md with the ratios of docs/performance.md. Rows that are not measured stay. */
export function withRatios(readme: string, page: string): string {
  const ratios = ratiosIn(page);
  return readme.replace(/<!-- ratios:[^]*?<!-- end of ratios -->/, (block) =>
    block.replace(/^\|.*\|$/gm, (line) => {
      const row = ratios.get(cellsOf(line)[0] ?? "");
      if (row === undefined) return line;
      // as wide as before, so that the table keeps its format
      return line
        .split("|")
        .map((cell, at) => (at < 2 ? cell : (row[at - 2]?.padStart(cell.length - 2).replace(/^.*$/, " $& ") ?? cell)))
        .join("|");
    }),
  );
}
