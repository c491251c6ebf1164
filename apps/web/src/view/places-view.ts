import { hashOf, LOBBY, MAX_ROOM_LENGTH, type Place, roomName, titleOf } from "../places.ts";
import { byId, create } from "./elements.ts";
import { keep, read } from "./store.ts";

const KEY = "tungstate.rooms";
const MAX_ROOMS = 10;

/** Navigation: visited rooms, any other room by its name, and the two other places. */
export class PlacesView {
  private readonly panel = byId("places", HTMLElement);
  private readonly button = byId("places-button", HTMLButtonElement);
  private readonly here = byId("here", HTMLElement);
  private readonly list = byId("rooms", HTMLUListElement);
  private readonly form = byId("join", HTMLFormElement);
  private readonly input = byId("room-name", HTMLInputElement);
  private readonly error = byId("room-error", HTMLElement);
  private rooms = storedRooms();
  private readonly others: readonly HTMLAnchorElement[];

  constructor() {
    this.others = [byId("to-broadcast", HTMLAnchorElement), byId("to-server", HTMLAnchorElement)];
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.join();
    });
    this.input.addEventListener("input", () => this.report(""));
    this.panel.addEventListener("click", ({ target }) => {
      if (target instanceof Element && target.closest("a") !== null) this.close();
    });
    matchMedia("(min-width: 60rem)").addEventListener("change", () => this.close());
  }

  show(place: Place): void {
    if (place.kind === "room") this.remember(place.name);
    this.here.textContent = titleOf(place);
    this.button.ariaLabel = `${titleOf(place)}: go to another place`;
    const names = [...new Set([titleOf(LOBBY), ...this.rooms])];
    const links = names.map((name) => {
      const link = create("a", "place", create("bdi", "place-name", name));
      link.href = hashOf({ kind: "room", name });
      return link;
    });
    this.list.replaceChildren(...links.map((link) => create("li", "", link)));
    for (const link of [...links, ...this.others]) {
      link.ariaCurrent = link.hash === hashOf(place) ? "page" : null;
    }
  }

  private join(): void {
    const given = this.input.value;
    const name = roomName(given);
    if (name === undefined) return this.report("The room name must have at least one visible character.");
    if ([...given.trim()].length > MAX_ROOM_LENGTH) return this.report(`The room name must have at most ${MAX_ROOM_LENGTH} characters.`); // prettier-ignore
    this.input.value = "";
    this.close();
    location.hash = hashOf({ kind: "room", name });
  }

  private remember(name: string): void {
    // keep the position: entries must not move under the pointer
    if (this.rooms.includes(name) || name === titleOf(LOBBY)) return;
    this.rooms = [name, ...this.rooms].slice(0, MAX_ROOMS);
    keep(() => localStorage, KEY, JSON.stringify(this.rooms));
  }

  private report(text: string): void {
    if (this.error.textContent !== text) this.error.textContent = text;
    this.input.ariaInvalid = text === "" ? "false" : "true";
    if (text !== "") this.input.focus();
  }

  private close(): void {
    if (this.panel.matches(":popover-open")) this.panel.hidePopover();
  }
}

function storedRooms(): readonly string[] {
  try {
    const names: unknown = JSON.parse(read(() => localStorage, KEY) ?? "[]");
    if (!Array.isArray(names)) return [];
    return names.flatMap((name) => (typeof name === "string" ? (roomName(name) ?? []) : [])).slice(0, MAX_ROOMS);
  } catch {
    return [];
  }
}
