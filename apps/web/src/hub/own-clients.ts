const MOST = 100;

/** Where the ids are kept, so that a reload does not forget them. */
export interface Store {
  read(): string | null;
  keep(ids: string): void;
}

/**
 * The ids that the server has given this tab's connections: what was published by one of them is ours. Nobody else can publish with
 * them.
 */
export class OwnClients {
  private readonly store: Store;
  private ids: readonly string[];

  constructor(store: Store) {
    this.store = store;
    this.ids = parse(store.read());
  }

  add(id: string): void {
    this.ids = [...this.ids, id].slice(-MOST);
    this.store.keep(JSON.stringify(this.ids));
  }

  has(id: string): boolean {
    return this.ids.includes(id);
  }
}

function parse(text: string | null): readonly string[] {
  try {
    const ids: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string").slice(-MOST) : [];
  } catch {
    return [];
  }
}
