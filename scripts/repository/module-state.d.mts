export const ALLOWED: ReadonlyMap<string, string>;
export function moduleState(text: string): string[];
export function checkModuleState(folders?: readonly string[], allowed?: ReadonlyMap<string, string>): string[];
