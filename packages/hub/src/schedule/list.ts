/** The entry of an item in a List. It is in one list at a time. */
export class Entry<T> {
  readonly value: T;
  /** The list changes the following fields. */
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

  /** Moves the entry to the end. */
  add(entry: Entry<T>): void {
    entry.list?.remove(entry);
    entry.list = this;
    entry.before = this.last;
    if (this.last === undefined) this.first = entry;
    else this.last.after = entry;
    this.last = entry;
    this.size++;
  }

  /** Moves the entry to the front. */
  addFirst(entry: Entry<T>): void {
    entry.list?.remove(entry);
    entry.list = this;
    entry.after = this.first;
    if (this.first === undefined) this.last = entry;
    else this.first.before = entry;
    this.first = entry;
    this.size++;
  }

  /** Removes the entry; does nothing if it is in another list, or in none. */
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
