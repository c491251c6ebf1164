// A browser may forbid its stores, already when they are looked at: what would be kept is then known to this page only.

export function read(store: () => Storage, key: string): string | null {
  try {
    return store().getItem(key);
  } catch {
    return null;
  }
}

export function keep(store: () => Storage, key: string, value: string): void {
  try {
    store().setItem(key, value);
  } catch {
    return;
  }
}
