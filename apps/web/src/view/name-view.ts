import { cleanName, friendlyName, MAX_NAME_LENGTH } from "../chat/names.ts";
import { byId } from "./elements.ts";
import { keep, read } from "./store.ts";

const KEY = "tungstate.name";

/**
 * The user's name. It is chosen once and stored by the browser; before that, each tab has a
 * generated one.
 */
export class NameView {
  name: string;
  private readonly shown = byId("name", HTMLElement);
  private readonly dialog = byId("name-dialog", HTMLDialogElement);
  private readonly input = byId("name-input", HTMLInputElement);
  private readonly error = byId("name-error", HTMLElement);
  private readonly onChange: (name: string) => void;

  constructor(onChange: (name: string) => void) {
    this.onChange = onChange;
    this.name = storedName();
    this.shown.textContent = this.name;
    byId("name-button", HTMLButtonElement).addEventListener("click", () => this.ask());
    byId("name-cancel", HTMLButtonElement).addEventListener("click", () => this.dialog.close());
    byId("name-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    // a click outside the dialog
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
  }

  private ask(): void {
    this.input.value = this.name;
    this.report("");
    this.dialog.showModal();
    this.input.select();
  }

  private submit(): void {
    const given = this.input.value;
    const name = cleanName(given);
    if (name === undefined) return this.report("The name must have at least one visible character.");
    if ([...given.trim()].length > MAX_NAME_LENGTH) {
      return this.report(
        `The name must have at most ${MAX_NAME_LENGTH} characters; this one has ${[...given.trim()].length}.`,
      );
    }
    this.dialog.close();
    keep(() => localStorage, KEY, name);
    this.name = name;
    this.shown.textContent = name;
    this.onChange(name);
  }

  private report(text: string): void {
    this.error.textContent = text;
    this.input.ariaInvalid = text === "" ? "false" : "true";
    if (text !== "") this.input.focus();
  }
}

function storedName(): string {
  const kept = [() => localStorage, () => sessionStorage].map((store) => cleanName(read(store, KEY) ?? ""));
  const name = kept.find((each) => each !== undefined) ?? friendlyName(Math.random);
  // the same name after a reload, but another one in each tab
  keep(() => sessionStorage, KEY, name);
  return name;
}
