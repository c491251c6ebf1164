import type { ChatMessage } from "../chat/chat.ts";
import { byId, create, hueOf } from "./elements.ts";

const MOST_SHOWN = 500;
const LONGEST_SHOWN = 20_000; // characters of one message
const RENDER_MS = 16; // what comes within one picture is put on the page at once
const TOGETHER_MS = 3 * 60_000; // the same person going on

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

type Entry = { readonly message: ChatMessage } | { readonly note: string };

/** The conversation: the last few hundred messages, the newest at the bottom, which stays in sight unless somebody has scrolled up. */
export class MessagesView {
  private readonly log = byId("log", HTMLElement);
  private readonly list = byId("messages", HTMLOListElement);
  private readonly empty = byId("empty", HTMLElement);
  private readonly newer = byId("newer", HTMLButtonElement);
  private readonly title = document.title;
  private readonly cut = create("li", "note", "What was said before is not kept here.");
  private readonly pending = new Map<string, HTMLElement>();
  private queue: Entry[] = [];
  private timer: number | undefined;
  private last: ChatMessage | undefined;
  private atBottom = true;
  private below = 0;
  private unread = 0;

  constructor() {
    this.log.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.newer.addEventListener("click", () => {
      this.toBottom();
      this.log.focus();
    });
    // a keyboard that comes up, a window that gets smaller; a line that appears below a message
    const observer = new ResizeObserver(() => this.atBottom && this.toBottom());
    observer.observe(this.log);
    observer.observe(this.list);
    document.addEventListener("visibilitychange", () => this.countUnread(0));
  }

  add(message: ChatMessage): void {
    if (message.own) this.atBottom = true;
    this.enqueue({ message });
  }

  /** Something about the conversation that nobody has said. */
  note(note: string): void {
    this.enqueue({ note });
  }

  delivered(id: string): void {
    this.render();
    const item = this.pending.get(id);
    this.pending.delete(id);
    item?.classList.remove("pending");
    item?.querySelector(".delivery")?.remove();
  }

  failed(id: string): void {
    this.render();
    const item = this.pending.get(id);
    this.pending.delete(id);
    item?.classList.replace("pending", "failed");
    const delivery = item?.querySelector(".delivery");
    if (delivery) delivery.textContent = "Not delivered";
  }

  private enqueue(entry: Entry): void {
    this.queue.push(entry);
    // what would be gone again at once need not be made; one more, so that it is told
    if (this.queue.length > 2 * MOST_SHOWN) this.queue = this.queue.slice(-MOST_SHOWN - 1);
    this.timer ??= setTimeout(() => this.render(), RENDER_MS);
  }

  private render(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const { queue } = this;
    if (queue.length === 0) return;
    this.queue = [];
    this.empty.hidden = true;
    const others = queue.filter((entry) => "message" in entry && !entry.message.own).length;
    this.list.append(
      ...queue.flatMap((entry) => ("note" in entry ? [this.noteItem(entry.note)] : this.items(entry.message))),
    );
    this.trim();
    if (this.atBottom) this.toBottom();
    else this.countBelow(this.below + others);
    if (document.hidden) this.countUnread(this.unread + others);
  }

  private trim(): void {
    const surplus = this.list.childElementCount - (this.cut.isConnected ? 1 : 0) - MOST_SHOWN;
    if (surplus <= 0) return;
    // Made once and then left alone: what is added to a log is read out.
    if (!this.cut.isConnected) this.list.prepend(this.cut);
    for (let count = 0; count < surplus; count++) this.cut.nextElementSibling?.remove();
    this.cut.nextElementSibling?.classList.remove("follows");
    for (const [id, item] of this.pending) if (!item.isConnected) this.pending.delete(id);
  }

  private items(message: ChatMessage): HTMLElement[] {
    const { last } = this;
    this.last = message;
    const items: HTMLElement[] = [];
    if (last !== undefined && new Date(last.at).toDateString() !== new Date(message.at).toDateString()) {
      items.push(create("li", "note", calendar.format(message.at)));
    }
    const follows =
      items.length === 0 &&
      last !== undefined &&
      last.from?.client === message.from?.client &&
      last.from?.name === message.from?.name &&
      last.own === message.own &&
      message.at - last.at < TOGETHER_MS;
    items.push(this.messageItem(message, follows));
    return items;
  }

  private messageItem({ id, from, own, text, at }: ChatMessage, follows: boolean): HTMLElement {
    const name = own ? create("span", "name you", "You") : create("bdi", "name", from?.name ?? "someone");
    if (from !== undefined) name.dataset.hue = hueOf(from.client);
    const time = create("time", "time", clock.format(at));
    time.dateTime = new Date(at).toISOString();
    const body = create("p", "text", shorten(text));
    body.dir = "auto";
    const item = create("li", "message", create("p", "head", name, " ", time), body);
    item.classList.add(own ? "own" : from === undefined ? "foreign" : "other");
    if (follows) item.classList.add("follows");
    if (own) {
      item.classList.add("pending");
      item.append(create("p", "delivery", "Not sent yet"));
      this.pending.set(id, item);
    }
    return item;
  }

  private noteItem(text: string): HTMLElement {
    this.last = undefined;
    return create("li", "note", text);
  }

  private scrolled(): void {
    const { scrollTop, clientHeight, scrollHeight } = this.log;
    this.atBottom = scrollHeight - scrollTop - clientHeight < 48;
    if (this.atBottom) this.countBelow(0);
  }

  private toBottom(): void {
    this.log.scrollTop = this.log.scrollHeight;
    this.atBottom = true;
    this.countBelow(0);
  }

  private countBelow(count: number): void {
    this.below = count;
    this.newer.hidden = count === 0;
    if (count > 0)
      this.newer.textContent = count === 1 ? "1 new message" : `${count.toLocaleString("en")} new messages`;
  }

  private countUnread(count: number): void {
    this.unread = count;
    document.title = count === 0 ? this.title : `(${count}) ${this.title}`;
  }
}

function shorten(text: string): string {
  if (text.length <= LONGEST_SHOWN) return text;
  return `${text.slice(0, LONGEST_SHOWN)}… (${text.length.toLocaleString("en")} characters, cut here)`;
}
