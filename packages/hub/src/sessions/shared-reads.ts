import type { CommandError } from "../codes.ts";
import type { JsonText } from "../json/json.ts";

interface Read {
  /** What was read, with all options. */
  readonly key: string;
  /**
   * The last command that had been received when it began: it is an answer to all up to that one.
   */
  readonly upTo: number;
  readonly result: JsonText | CommandError;
}

/**
 * The last read of a session from a store. Equal commands that wait together are answered by one
 * read. It is kept no longer than commands wait that had been received when it began.
 */
export class SharedReads {
  private asked = 0;
  private last: Read | undefined;

  /** A command has been received. Returns its number. */
  ask(): number {
    return ++this.asked;
  }

  /** A read begins. Returns the number of the last command that it is an answer to. */
  begin(): number {
    return this.asked;
  }

  keep(key: string, upTo: number, result: JsonText | CommandError): void {
    this.last = { key, upTo, result };
  }

  /** The result for a command; undefined: it has to be read. */
  find(key: string, number: number): JsonText | CommandError | undefined {
    const { last } = this;
    return last?.key === key && number <= last.upTo ? last.result : undefined;
  }

  /** The command is answered: they are in the order of their numbers. */
  answered(number: number): void {
    if (this.last !== undefined && number >= this.last.upTo) this.last = undefined;
  }
}
