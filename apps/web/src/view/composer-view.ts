import { byId } from "./elements.ts";

const MAX_CHARACTERS = 4_000;
const COUNT_FROM = 3_600;

/** The input field for messages. Enter sends, Shift+Enter inserts a line break. */
export class ComposerView {
  private readonly form = byId("composer", HTMLFormElement);
  private readonly text = byId("text", HTMLTextAreaElement);
  private readonly hint = byId("hint", HTMLElement);
  private readonly button = byId("send", HTMLButtonElement);
  /** Returns whether the message was accepted; otherwise the text stays in the field. */
  private readonly onSay: (text: string) => boolean;

  /** `onTyping` is called when the user types, and with false when the text is deleted. */
  constructor(onSay: (text: string) => boolean, onTyping: (typing: boolean) => void) {
    this.onSay = onSay;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.text.addEventListener("keydown", (event) => {
      // during input-method composition, Enter selects a word
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.submit();
    });
    this.text.addEventListener("input", () => {
      this.changed();
      onTyping(this.text.value.trim() !== "");
    });
    addEventListener("resize", () => this.grow());
    this.changed();
  }

  /** Prepares the field for another place. */
  begin(label: string): void {
    byId("text-label", HTMLElement).textContent = label;
    this.changed();
    // On a touch screen, focusing would open the keyboard unasked.
    if (matchMedia("(hover: hover)").matches) this.text.focus();
  }

  private submit(): void {
    const said = this.text.value.trim();
    this.text.focus();
    if (said === "") return;
    if (said.length > MAX_CHARACTERS) return this.changed();
    if (!this.onSay(said)) {
      this.report("Too many messages are queued. Your text is kept.");
      return;
    }
    this.text.value = "";
    this.changed();
  }

  private changed(): void {
    const { length } = this.text.value.trim();
    const over = length - MAX_CHARACTERS;
    this.button.disabled = length === 0 || over > 0;
    this.text.ariaInvalid = over > 0 ? "true" : "false";
    if (over > 0) this.report(`The message is ${characters(over)} too long.`);
    else if (length >= COUNT_FROM) this.report(`${characters(-over)} left.`);
    else this.report("");
    this.grow();
  }

  private report(text: string): void {
    if (this.hint.textContent !== text) this.hint.textContent = text;
  }

  /** Adjusts the height to the text; the style sheet sets the maximum. */
  private grow(): void {
    this.text.style.height = "auto";
    const border = this.text.offsetHeight - this.text.clientHeight;
    this.text.style.height = `${this.text.scrollHeight + border}px`;
  }
}

function characters(count: number): string {
  return count === 1 ? "1 character" : `${count.toLocaleString("en")} characters`;
}
