import { byId, create } from "./elements.ts";

/**
 * Who is typing, in a line above the input field. It is not announced, so that it does not
 * interrupt messages.
 */
export class TypingView {
  private readonly line = byId("typing", HTMLElement);
  private shown = "";

  show(names: readonly string[]): void {
    const key = JSON.stringify(names.slice(0, 3));
    if (key === this.shown) return;
    this.shown = key;
    const [first = "", second = ""] = names;
    const name = (text: string): HTMLElement => create("bdi", "typist", text);
    if (names.length === 0) this.line.replaceChildren();
    else if (names.length === 1) this.line.replaceChildren(name(first), " is typing…");
    else if (names.length === 2) this.line.replaceChildren(name(first), " and ", name(second), " are typing…");
    else this.line.replaceChildren("Several people are typing…");
  }
}
