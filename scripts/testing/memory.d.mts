export function collectGarbage(): Promise<void>;
export function memoryInUse(): Promise<number>;
