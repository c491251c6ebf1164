export function exportedNames(entry: string, read?: (path: string) => string): Map<string, string>;
export function bareNames(
  text: string,
  names: readonly string[],
  contracts?: ReadonlyMap<string, ReadonlySet<string>>,
): string[];
export function checkDocstrings(): string[];
