export function oldWordsOf(path: string, text: string): string[];
export function checkVocabulary(): string[];
