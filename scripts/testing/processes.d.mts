export function divide(
  paths: readonly string[],
  options: { readonly alone: (path: string) => boolean; readonly least: number },
): string[][];

export function writePrograms(lists: readonly (readonly string[])[], folder: string): string[];
