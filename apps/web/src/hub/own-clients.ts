const MAX_IDS = 100;

/** Where the IDs are stored, so that they survive a reload. */
export interface Store {
  read(): string | null;
  keep(ids: string): void;
}

/**
 * The client IDs that the server assigned to this tab. Publications with one of them are own
 * messages; no one else can publish with them.
 */
export class OwnClients {
  private readonly store: Store;
  private ids: readonly string[];

  constructor(store: Store) {
    this.store = store;
    this.ids = parse(store.read());
  }

  add(id: string): void {
    this.ids = [...this.ids, id].slice(-MAX_IDS);
    this.store.keep(JSON.stringify(this.ids));
  }

  has(id: string): boolean {
    return this.ids.includes(id);
  }
}

function parse(text: string | null): readonly string[] {
  try {
    const ids: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string").slice(-MAX_IDS) : [];
  } catch {
    return [];
  }
}
