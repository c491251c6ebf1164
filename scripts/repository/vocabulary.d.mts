export function oldWordsOf(path: string, text: string): string[];
export function checkVocabulary(): { readonly faults: string[]; readonly pending: string[] };
