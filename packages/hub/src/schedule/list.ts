/** An item's place in a List. One entry is in one list at a time. */
export class Entry<T> {
  readonly value: T;
  /** The three below are the list's to change. */
  list: List<T> | undefined;
  before: Entry<T> | undefined;
  after: Entry<T> | undefined;

  constructor(value: T) {
    this.value = value;
  }
}

/** A doubly linked list: adding, moving and removing take O(1), also at the front. */
export class List<T> {
  first: Entry<T> | undefined;
  last: Entry<T> | undefined;
  size = 0;

  /** Puts the entry at the end, wherever it was. */
  add(entry: Entry<T>): void {
    entry.list?.remove(entry);
    entry.list = this;
    entry.before = this.last;
    if (this.last === undefined) this.first = entry;
    else this.last.after = entry;
    this.last = entry;
    this.size++;
  }

  /** Puts the entry at the front, wherever it was. */
  addFirst(entry: Entry<T>): void {
    entry.list?.remove(entry);
    entry.list = this;
    entry.after = this.first;
    if (this.first === undefined) this.last = entry;
    else this.first.before = entry;
    this.first = entry;
    this.size++;
  }

  /** An entry that is in another list, or in none, stays as it is. */
  remove(entry: Entry<T>): void {
    if (entry.list !== this) return;
    const { before, after } = entry;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.last = before;
    else after.before = before;
    entry.list = entry.before = entry.after = undefined;
    this.size--;
  }
}
