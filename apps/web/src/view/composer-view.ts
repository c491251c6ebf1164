import { byId } from "./elements.ts";

const MOST_CHARACTERS = 4_000;
const COUNT_FROM = 3_600;

/** Where one writes. Enter sends, Shift+Enter makes a new line. */
export class ComposerView {
  private readonly form = byId("composer", HTMLFormElement);
  private readonly text = byId("text", HTMLTextAreaElement);
  private readonly hint = byId("hint", HTMLElement);
  private readonly button = byId("send", HTMLButtonElement);
  /** Whether it was taken; else what was written stays. */
  private readonly onSay: (text: string) => boolean;

  /** `onTyping`: something was typed, or all of it deleted. */
  constructor(onSay: (text: string) => boolean, onTyping: (typing: boolean) => void) {
    this.onSay = onSay;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.text.addEventListener("keydown", (event) => {
      // while an input method composes, Enter chooses a word
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

  /** Somebody has come to where one writes. */
  begin(label: string): void {
    byId("text-label", HTMLElement).textContent = label;
    this.changed();
    // On a touch screen that would bring up the keyboard before anybody wants it.
    if (matchMedia("(hover: hover)").matches) this.text.focus();
  }

  private submit(): void {
    const said = this.text.value.trim();
    this.text.focus();
    if (said === "") return;
    if (said.length > MOST_CHARACTERS) return this.changed();
    if (!this.onSay(said)) {
      this.tell("Too many messages wait for the connection already. Yours is still here.");
      return;
    }
    this.text.value = "";
    this.changed();
  }

  private changed(): void {
    const { length } = this.text.value.trim();
    const over = length - MOST_CHARACTERS;
    this.button.disabled = length === 0 || over > 0;
    this.text.ariaInvalid = over > 0 ? "true" : "false";
    if (over > 0) this.tell(`${characters(over)} too many for one message.`);
    else if (length >= COUNT_FROM) this.tell(`${characters(-over)} left.`);
    else this.tell("");
    this.grow();
  }

  private tell(text: string): void {
    if (this.hint.textContent !== text) this.hint.textContent = text;
  }

  /** As high as what is written; the style sheet says how high at most. */
  private grow(): void {
    this.text.style.height = "auto";
    const border = this.text.offsetHeight - this.text.clientHeight;
    this.text.style.height = `${this.text.scrollHeight + border}px`;
  }
}

function characters(count: number): string {
  return count === 1 ? "1 character" : `${count.toLocaleString("en")} characters`;
}
