import type { Readable, Writable } from "node:stream";
import { createInterface, type Interface } from "node:readline/promises";
import { CreateError } from "./errors.ts";
import { problemOf, suggestionFor } from "./names.ts";
import { DEFAULT_TEMPLATE, TEMPLATES, templateOf, type Template } from "./templates.ts";

const DEFAULT_FOLDER = "my-tungstate-app";

/** Asks on a terminal. An invalid answer is explained, and the question is asked again. */
export class Questions {
  private readonly terminal: Interface;
  private readonly output: Writable;
  private readonly ended: Promise<never>;

  constructor(input: Readable, output: Writable) {
    this.output = output;
    this.terminal = createInterface({ input, output });
    this.ended = new Promise((_, reject) => {
      this.terminal.once("close", () => reject(new CreateError("cancelled, nothing was created")));
    });
    this.ended.catch(() => {});
  }

  folder(): Promise<string> {
    return this.ask(`Folder (${DEFAULT_FOLDER}): `, (answer) => {
      const folder = answer === "" ? DEFAULT_FOLDER : answer;
      // the last part becomes the name of the package, unless it is a path such as "."
      const name =
        folder
          .replace(/[\\/]+$/, "")
          .split(/[\\/]/)
          .at(-1) ?? "";
      const problem = /^\.{0,2}$/.test(name) ? undefined : problemOf(name);
      if (problem === undefined) return folder;
      throw new CreateError(`${JSON.stringify(name)} cannot be a package name: ${problem}. Try ${suggestionFor(name)}`);
    });
  }

  template(): Promise<Template> {
    TEMPLATES.forEach(({ name, summary }, at) => this.output.write(`  ${at + 1}. ${name}: ${summary}\n`));
    return this.ask("Template (1): ", (answer) => {
      const chosen = /^\d+$/.test(answer) ? TEMPLATES[Number(answer) - 1] : undefined;
      if (chosen !== undefined) return chosen;
      return answer === "" ? DEFAULT_TEMPLATE : templateOf(answer);
    });
  }

  private async ask<T>(question: string, read: (answer: string) => T): Promise<T> {
    for (;;) {
      const answer = await Promise.race([this.terminal.question(question), this.ended]);
      try {
        return read(answer.trim());
      } catch (error) {
        if (!(error instanceof CreateError)) throw error;
        this.output.write(`${error.message}\n`);
      }
    }
  }

  close(): void {
    this.terminal.close();
  }
}
