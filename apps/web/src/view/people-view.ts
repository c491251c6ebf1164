import type { Person } from "../chat/people.ts";
import { byId, create, hueOf } from "./elements.ts";

const MAX_NAMES = 200;

/**
 * The number of people present and their names: in a column if there is room, otherwise behind a
 * button.
 */
export class PeopleView {
  private readonly panel = byId("people", HTMLElement);
  private readonly button = byId("people-button", HTMLButtonElement);
  private readonly heading = byId("people-heading", HTMLElement);
  private readonly list = byId("people-list", HTMLUListElement);

  constructor() {
    matchMedia("(min-width: 60rem)").addEventListener("change", () => {
      if (this.panel.matches(":popover-open")) this.panel.hidePopover();
    });
  }

  /** The first entry is the user. `count` may exceed the length of the list. */
  show(people: readonly Person[], count: number): void {
    const text = count === 1 ? "Only you are here" : `${count.toLocaleString("en")} people here`;
    this.heading.textContent = text;
    this.button.textContent = count === 1 ? "Only you" : `${count.toLocaleString("en")} here`;
    this.button.ariaLabel = text;
    const names = people.slice(0, MAX_NAMES).map(({ name }, index) => {
      const bdi = create("bdi", "name", name);
      const item = create("li", "person", bdi);
      if (index === 0) item.append(create("span", "aside", " you"));
      else bdi.dataset.hue = hueOf(name);
      return item;
    });
    const more = count - names.length;
    if (more > 0)
      names.push(create("li", "aside", `${names.length > 0 ? "and " : ""}${more.toLocaleString("en")} more`));
    this.list.replaceChildren(...names);
    this.known(true);
  }

  /** Without a connection the list is unknown. */
  known(known: boolean): void {
    this.button.hidden = !known;
    this.panel.classList.toggle("unknown", !known);
    if (!known) this.heading.textContent = "The list of people is not available";
    if (!known) this.list.replaceChildren();
  }
}
