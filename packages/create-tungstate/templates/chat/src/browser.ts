// The page: joins a room, shows its messages and members, and sends messages.
import { Centrifuge, type PublicationContext } from "centrifuge";

const HISTORY = 50; // earlier messages that are shown

interface Person {
  readonly name: string;
}

function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no element with the id ${id}`);
  return found as T;
}

const join = element<HTMLFormElement>("join");
const name = element<HTMLInputElement>("name");
const chat = element<HTMLElement>("chat");
const state = element<HTMLElement>("state");
const people = element<HTMLElement>("people");
const messages = element<HTMLOListElement>("messages");
const send = element<HTMLFormElement>("send");
const text = element<HTMLInputElement>("text");

join.addEventListener("submit", (event) => {
  event.preventDefault();
  join.hidden = true;
  chat.hidden = false;
  enter(name.value);
  text.focus();
});

function enter(me: string): void {
  const url = new URL("/connection/websocket", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  // The client connects again when the connection is lost, and receives what it missed.
  const client = new Centrifuge(url.href, { data: { name: me } });
  const room = client.newSubscription("chat:lobby", { joinLeave: true });

  const present = new Map<string, string>();
  const showPeople = () => {
    people.textContent = [...present.values()].toSorted().join(", ");
  };
  const shown = new Set<number>();
  const show = ({ data, info, offset }: PublicationContext) => {
    if (offset !== undefined) {
      if (shown.has(offset)) return;
      shown.add(offset);
    }
    const author = document.createElement("b");
    author.textContent = (info?.connInfo as Person | undefined)?.name ?? "server";
    const item = document.createElement("li");
    // text of other people is never markup
    item.append(author, ` ${String((data as { text?: unknown }).text)}`);
    messages.append(item);
    item.scrollIntoView({ block: "nearest" });
  };

  room.on("publication", show);
  room.on("join", ({ info }) => {
    present.set(info.client, (info.connInfo as Person).name);
    showPeople();
  });
  room.on("leave", ({ info }) => {
    present.delete(info.client);
    showPeople();
  });
  room.on("subscribed", ({ recovered }) => {
    void catchUp(recovered);
  });

  async function catchUp(recovered: boolean): Promise<void> {
    const { clients } = await room.presence();
    present.clear();
    for (const [id, { connInfo }] of Object.entries(clients)) present.set(id, (connInfo as Person).name);
    showPeople();
    if (recovered) return; // the client has already received what it missed
    const { publications } = await room.history({ limit: HISTORY, reverse: true });
    shown.clear();
    messages.replaceChildren();
    for (const publication of publications.toReversed()) show(publication);
  }

  client.on("connected", () => (state.textContent = "connected"));
  client.on("connecting", () => (state.textContent = "connecting …"));
  client.on("disconnected", ({ reason }) => (state.textContent = `disconnected: ${reason}`));

  send.addEventListener("submit", (event) => {
    event.preventDefault();
    if (text.value === "") return;
    room.publish({ text: text.value }).then(
      () => (text.value = ""),
      () => (state.textContent = "the message was not sent, try again"),
    );
  });

  room.subscribe();
  client.connect();
}
