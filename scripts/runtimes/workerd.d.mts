/** Starts workerd with ES modules, given by name. The first one is the Worker. */
export function startWorkerd(
  binary: string,
  modules: Readonly<Record<string, string>>,
  options?: { readonly fields?: string; readonly output?: "inherit" | "ignore" },
): Promise<{ readonly port: number; readonly stop: () => Promise<void> }>;
