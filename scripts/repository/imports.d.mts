export function layerFaults(
  source: string,
  layers: readonly string[],
  graph: ReadonlyMap<string, readonly string[]>,
): string[];
export function cycles(graph: ReadonlyMap<string, readonly string[]>): string[][];
export function checkImports(): string[];
