/** Returns the path of the binary of a runtime, which is installed if needed. */
export function binaryOf(runtime: string, options?: { readonly fresh?: boolean }): string;
/** Returns the path of a binary that is installed; undefined if it is not. */
export function installedBinaryOf(runtime: string): string | undefined;
