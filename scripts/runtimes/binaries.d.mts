/** Returns the path of the binary of a runtime, which is installed if needed. */
export function binaryOf(runtime: string, options?: { readonly fresh?: boolean }): string;
