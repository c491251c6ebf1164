import { Chat } from "./chat/chat.ts";
import { ComposerView } from "./view/composer-view.ts";
import { byId } from "./view/elements.ts";
import { MessagesView } from "./view/messages-view.ts";
import { NameView } from "./view/name-view.ts";
import { PeopleView } from "./view/people-view.ts";
import { StatusView } from "./view/status-view.ts";

const url = new URL("/ws", location.href);
url.protocol = url.protocol === "https:" ? "wss:" : "ws:";

const messages = new MessagesView();
const people = new PeopleView();
const status = new StatusView(() => chat.open());
const names = new NameView((name) => chat.rename(name));

const chat = new Chat(url.href, names.name, {
  stateChanged(state) {
    status.show(state);
    if (state.kind !== "open") people.known(false);
  },
  peopleChanged: (everybody) => people.show(everybody),
  message: (message) => messages.add(message),
  delivered: (id) => messages.delivered(id),
  failed: (id) => messages.failed(id),
  missed(milliseconds) {
    messages.note(`Back after ${duration(milliseconds)}. What others wrote meanwhile is not here.`);
  },
});
new ComposerView((text) => chat.say(text));

byId("terminal", HTMLElement).textContent = `npx tungstate connect ${url.href}`;

// A connection can have died while nobody looked, and browsers are slow to notice.
document.addEventListener("visibilitychange", () => document.hidden || chat.check());
addEventListener("offline", () => chat.check());
// A page that is left says goodbye, and comes back as it was by the browser's back button.
addEventListener("pagehide", () => chat.close());
addEventListener("pageshow", () => chat.open());
chat.open();

function duration(milliseconds: number): string {
  const seconds = Math.max(1, Math.round(milliseconds / 1000));
  if (seconds < 100) return seconds === 1 ? "a second" : `${seconds} seconds`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`;
}
