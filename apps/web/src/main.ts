import { Chat, type ChatListener } from "./chat/chat.ts";
import { Outbox } from "./chat/outbox.ts";
import type { LinkState } from "./connection/link.ts";
import { HubLink } from "./hub/hub-link.ts";
import { OwnClients } from "./hub/own-clients.ts";
import { Room } from "./hub/room.ts";
import { StatsSubscription } from "./live/stats-subscription.ts";
import { hashOf, type Place, placeOf, titleOf } from "./places.ts";
import { ComposerView } from "./view/composer-view.ts";
import { byId } from "./view/elements.ts";
import { MessagesView } from "./view/messages-view.ts";
import { NameView } from "./view/name-view.ts";
import { PeopleView } from "./view/people-view.ts";
import { PlacesView } from "./view/places-view.ts";
import { StatusView } from "./view/status-view.ts";
import { keep, read } from "./view/store.ts";
import { TypingView } from "./view/typing-view.ts";

/** What the page does at its current place. */
interface Visit {
  stateChanged?(state: LinkState): void;
  check(): void;
  close(): void;
  rename?(name: string): void;
  say?(text: string): boolean;
  typing?(typing: boolean): void;
  earlier?(): Promise<void>;
}

const CLIENTS_KEY = "tungstate.clients";

const messages = new MessagesView(() => void visit?.earlier?.());
const people = new PeopleView();
const typing = new TypingView();
const places = new PlacesView();
const status = new StatusView(() => (usesHub() ? hub.open() : visit?.check()));
const names = new NameView((name) => {
  hub.rename(name);
  visit?.rename?.(name);
});
const composer = new ComposerView(
  (text) => visit?.say?.(text) ?? false,
  (isTyping) => visit?.typing?.(isTyping),
);

const own = new OwnClients({
  read: () => read(() => sessionStorage, CLIENTS_KEY),
  keep: (ids) => keep(() => sessionStorage, CLIENTS_KEY, ids),
});
const hub = new HubLink(socketUrl("/connection/websocket"), names.name);
hub.onClientId = (id) => own.add(id);
hub.onState = (state) => visit?.stateChanged?.(state);

/** Undelivered messages by place. They are kept while the user visits other places. */
const outboxes = new Map<string, Outbox>();
let place: Place | undefined;
let visit: Visit | undefined;

const chatListener: ChatListener = {
  stateChanged: showState,
  peopleChanged: (list, count) => people.show(list, count),
  message: (message) => messages.add(message),
  delivered: (id) => messages.delivered(id),
  failed: (id) => messages.failed(id),
  missed: (away) => messages.note(`Back after ${duration(away)}. Messages sent meanwhile are not available.`),
};

/** Goes to the place in the address. */
function go(): void {
  const next = placeOf(location.hash);
  if (place !== undefined && hashOf(next) === hashOf(place)) return;
  const first = place === undefined;
  visit?.close();
  visit = undefined;
  place = next;
  places.show(next);
  document.title = `${titleOf(next)} – Tungstate`;
  people.known(false);
  typing.show([]);
  const isChat = next.kind !== "server";
  byId("chat", HTMLElement).hidden = !isChat;
  byId("live", HTMLElement).hidden = isChat;
  byId("people", HTMLElement).hidden = !isChat;
  byId("terminal-invitation", HTMLElement).hidden = next.kind !== "broadcast";
  byId("invitation", HTMLElement).hidden = next.kind === "broadcast";
  if (!usesHub()) hub.close();
  if (next.kind === "server") {
    visit = watch();
    if (!first) byId("live-title", HTMLElement).focus();
  } else {
    byId("chat-title", HTMLElement).textContent = titleOf(next);
    const isRoom = next.kind === "room";
    messages.begin(document.title, isRoom ? "No messages yet." : "No messages since you came.", isRoom);
    visit = isRoom ? enter(next.name) : broadcast();
    composer.begin(isRoom ? `Message to ${next.name}` : "Message to everybody");
  }
  if (usesHub()) {
    visit.stateChanged?.(hub.state);
    hub.open();
  }
}

function enter(name: string): Visit {
  return new Room(name, hub, own, outbox(`room ${name}`), {
    ...chatListener,
    past: (past, before) => messages.past(past, before),
    earlierChanged: (more) => messages.more(more),
    typing: (who) => typing.show(who),
    refused: (reason) => messages.note(`The server denied access: ${reason}.`),
    recovered: (away, count) => messages.mark(`${missed(count)} while you were away (${duration(away)}).`),
    lost(away, anew) {
      const back = away === undefined ? "" : `Back after ${duration(away)}. `;
      messages.mark(
        anew
          ? `${back}The server has restarted: messages sent meanwhile are lost.`
          : `${back}Some messages are missing: the server does not keep that many.`,
      );
    },
  });
}

function broadcast(): Visit {
  const chat = new Chat(socketUrl("/ws"), names.name, outbox("broadcast"), chatListener);
  chat.open();
  return {
    check: () => chat.check(),
    close: () => chat.close(),
    rename: (name) => chat.rename(name),
    say: (text) => chat.say(text),
  };
}

/** Loads the plots on demand. */
function watch(): Visit {
  let closed = false;
  const loaded = import("./view/live-view.ts").then(({ LiveView }) => (closed ? undefined : new LiveView()));
  const subscription = new StatsSubscription(hub, {
    stateChanged: showState,
    stats: (stats) => void loaded.then((view) => view?.add(stats)),
    refused: (reason) => void loaded.then((view) => view?.refused(reason)),
  });
  return {
    stateChanged: (state) => subscription.stateChanged(state),
    check: () => subscription.check(),
    close() {
      closed = true;
      subscription.close();
      void loaded.then((view) => view?.destroy());
    },
  };
}

function showState(state: LinkState): void {
  status.show(state);
  if (state.kind !== "open") people.known(false);
}

function usesHub(): boolean {
  return place?.kind !== "broadcast";
}

function outbox(key: string): Outbox {
  const known = outboxes.get(key) ?? new Outbox();
  outboxes.set(key, known);
  return known;
}

byId("terminal", HTMLElement).textContent = `npx tungstate connect ${socketUrl("/ws")}`;
addEventListener("hashchange", go);
// A connection can die while the page is in the background, and browsers notice that late.
document.addEventListener("visibilitychange", () => document.hidden || visit?.check());
addEventListener("online", () => visit?.check());
addEventListener("offline", () => (usesHub() ? hub.offline() : visit?.check()));
// Announce the departure when the page is left, and resume when the browser's back button returns
// to it.
addEventListener("pagehide", () => (usesHub() ? hub.close() : visit?.close()));
addEventListener("pageshow", () => (usesHub() ? hub.open() : visit?.check()));
go();

function socketUrl(path: string): string {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

function missed(count: number): string {
  if (count === 0) return "No messages";
  return count === 1 ? "1 message" : `${count.toLocaleString("en")} messages`;
}

function duration(milliseconds: number): string {
  const seconds = Math.max(1, Math.round(milliseconds / 1000));
  if (seconds < 100) return seconds === 1 ? "a second" : `${seconds} seconds`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`;
}
