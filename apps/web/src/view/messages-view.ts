import type { ChatMessage } from "../chat/chat.ts";
import { byId, create, hueOf } from "./elements.ts";

const MAX_SHOWN = 1_000;
const MAX_SHOWN_LENGTH = 20_000; // characters of one message
const RENDER_MS = 16; // messages within one animation frame are added together
// ms after which a screen reader has skipped messages that must not be announced
const QUIET_MS = 300;
const TOGETHER_MS = 3 * 60_000; // ms within which messages of the same author are grouped

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

/** A note that is not a message. */
interface Note {
  readonly note: string;
  readonly className: string;
}

/** `news`: it arrived after the user came. */
type Entry = { readonly message: ChatMessage; readonly news: boolean } | Note;

/**
 * The conversation. The newest messages are at the bottom, which stays visible unless the user has
 * scrolled up. Old messages are removed beyond a limit.
 */
export class MessagesView {
  private readonly log = byId("log", HTMLElement);
  private readonly list = byId("messages", HTMLOListElement);
  private readonly empty = byId("empty", HTMLElement);
  private readonly newer = byId("newer", HTMLButtonElement);
  private readonly earlier = byId("earlier", HTMLButtonElement);
  private readonly cut = create("li", "note cut", "Earlier messages are not kept.");
  private readonly pending = new Map<string, HTMLElement>();
  private title = document.title;
  private queue: Entry[] = [];
  private timer: number | undefined;
  private quietTimer: number | undefined;
  private first: ChatMessage | undefined;
  private last: ChatMessage | undefined;
  private atBottom = true;
  private below = 0;
  private unread = 0;

  constructor(onEarlier: () => void) {
    this.earlier.addEventListener("click", () => {
      if (this.earlier.ariaBusy === "true") return;
      this.earlier.ariaBusy = "true";
      onEarlier();
    });
    this.log.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.newer.addEventListener("click", () => {
      this.toBottom();
      this.log.focus();
    });
    // the keyboard opened, the window shrank, or a line appeared below a message
    const observer = new ResizeObserver(() => this.atBottom && this.toBottom());
    observer.observe(this.log);
    observer.observe(this.list);
    document.addEventListener("visibilitychange", () => this.countUnread(0));
  }

  /** Starts another conversation with this label. `past`: its history will follow. */
  begin(title: string, lead: string, past: boolean): void {
    clearTimeout(this.timer);
    this.timer = this.first = this.last = undefined;
    this.queue = [];
    this.pending.clear();
    this.list.replaceChildren();
    byId("lead", HTMLElement).textContent = lead;
    this.empty.hidden = past;
    this.atBottom = true;
    this.title = title;
    this.more(false);
    this.countBelow(0);
    this.countUnread(0);
  }

  add(message: ChatMessage): void {
    if (message.own && !message.delivered) this.atBottom = true;
    this.enqueue({ message, news: true });
  }

  /** Adds messages of history: after what is displayed, or `before` it. */
  past(messages: readonly ChatMessage[], before: boolean): void {
    this.quietly();
    if (before) this.prepend(messages);
    else for (const message of messages) this.enqueue({ message, news: false });
    if (messages.length === 0 && this.queue.length === 0) this.empty.hidden = this.list.childElementCount > 0;
  }

  /** Whether earlier messages can be loaded. */
  more(more: boolean): void {
    const focused = document.activeElement === this.earlier;
    this.earlier.ariaBusy = "false";
    this.earlier.hidden = !more || this.cut.isConnected || this.list.childElementCount >= MAX_SHOWN;
    if (focused) (this.earlier.hidden ? this.log : this.earlier).focus();
  }

  /** Adds a note that is not a message. */
  note(note: string): void {
    this.enqueue({ note, className: "note" });
  }

  /** Marks the place where missed messages follow or are missing. */
  mark(note: string): void {
    this.enqueue({ note, className: "note mark-here" });
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
    // messages that would be removed at once need not be created; one more, so that the removal is
    // noted
    if (this.queue.length > 2 * MAX_SHOWN) this.queue = this.queue.slice(-MAX_SHOWN - 1);
    this.timer ??= setTimeout(() => this.render(), RENDER_MS);
  }

  private render(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const { queue } = this;
    if (queue.length === 0) return;
    this.queue = [];
    this.empty.hidden = true;
    const others = queue.filter((entry) => "message" in entry && entry.news && !entry.message.own).length;
    this.list.append(
      ...queue.flatMap((entry) => ("note" in entry ? [this.noteItem(entry)] : this.items(entry.message))),
    );
    this.trim();
    if (this.atBottom) this.toBottom();
    else this.countBelow(this.below + others);
    if (document.hidden) this.countUnread(this.unread + others);
  }

  private prepend(messages: readonly ChatMessage[]): void {
    this.render();
    const { first, last } = this;
    this.last = undefined;
    const items = messages.flatMap((message) => this.items(message));
    const newest = this.last as ChatMessage | undefined;
    if (newest !== undefined && first !== undefined && !isSameDay(newest, first)) items.push(dayItem(first));
    this.first = messages[0] ?? first;
    this.last = last ?? newest;
    const { scrollTop, scrollHeight } = this.log;
    this.list.prepend(...items);
    this.empty.hidden = this.list.childElementCount > 0;
    // keep the reader's position
    this.log.scrollTop = scrollTop + this.log.scrollHeight - scrollHeight;
  }

  /** Suppresses announcements while history is added: additions to a log are read out. */
  private quietly(): void {
    clearTimeout(this.quietTimer);
    this.log.ariaLive = "off";
    this.quietTimer = setTimeout(() => (this.log.ariaLive = "polite"), QUIET_MS);
  }

  private trim(): void {
    const surplus = this.list.childElementCount - (this.cut.isConnected ? 1 : 0) - MAX_SHOWN;
    if (surplus <= 0) return;
    // Created once and then left unchanged, because additions to a log are read out.
    if (!this.cut.isConnected) this.list.prepend(this.cut);
    this.earlier.hidden = true;
    for (let count = 0; count < surplus; count++) this.cut.nextElementSibling?.remove();
    this.cut.nextElementSibling?.classList.remove("follows");
    for (const [id, item] of this.pending) if (!item.isConnected) this.pending.delete(id);
  }

  private items(message: ChatMessage): HTMLElement[] {
    const { last } = this;
    this.last = message;
    this.first ??= message;
    const items: HTMLElement[] = [];
    if (last !== undefined && !isSameDay(last, message)) items.push(dayItem(message));
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

  private messageItem({ id, from, own, text, at, delivered }: ChatMessage, follows: boolean): HTMLElement {
    const name = own ? create("span", "name you", "You") : create("bdi", "name", from?.name ?? "someone");
    if (from !== undefined) name.dataset.hue = hueOf(from.name);
    const time = create("time", "time", clock.format(at));
    time.dateTime = new Date(at).toISOString();
    const body = create("p", "text", shorten(text));
    body.dir = "auto";
    const item = create("li", "message", create("p", "head", name, " ", time), body);
    item.classList.add(own ? "own" : from === undefined ? "foreign" : "other");
    if (follows) item.classList.add("follows");
    if (!delivered) {
      item.classList.add("pending");
      item.append(create("p", "delivery", "Not sent yet"));
      this.pending.set(id, item);
    }
    return item;
  }

  private noteItem({ note, className }: Note): HTMLElement {
    this.last = undefined;
    return create("li", className, create("span", "", note));
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

function isSameDay(one: ChatMessage, other: ChatMessage): boolean {
  return new Date(one.at).toDateString() === new Date(other.at).toDateString();
}

function dayItem({ at }: ChatMessage): HTMLElement {
  return create("li", "note", calendar.format(at));
}

function shorten(text: string): string {
  if (text.length <= MAX_SHOWN_LENGTH) return text;
  return `${text.slice(0, MAX_SHOWN_LENGTH)}… (${text.length.toLocaleString("en")} characters, truncated)`;
}
