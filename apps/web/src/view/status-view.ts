import type { LinkState } from "../connection/link.ts";
import { byId } from "./elements.ts";

/**
 * The state of the connection: if there is none, the reason and the time of the next attempt. The
 * sentence is announced when it changes; the countdown beside it is not, because it changes every
 * second.
 */
export class StatusView {
  private readonly status = byId("status", HTMLElement);
  private readonly text = byId("status-text", HTMLElement);
  private readonly countdown = byId("countdown", HTMLElement);
  private readonly button = byId("try-now", HTMLButtonElement);
  private timer: number | undefined;

  constructor(onTryNow: () => void) {
    this.button.addEventListener("click", onTryNow);
  }

  show(state: LinkState): void {
    clearInterval(this.timer);
    this.status.dataset.state = state.kind;
    this.status.classList.toggle("trouble", state.kind !== "open" && state.reason !== undefined);
    this.say(state.kind === "open" ? "Connected" : (state.reason ?? "Connecting…"));
    if (state.kind === "waiting") {
      this.count(state.until);
      this.timer = setInterval(() => this.count(state.until), 250);
    } else {
      this.countdown.textContent = state.kind === "connecting" && state.reason !== undefined ? "Connecting…" : "";
    }
    this.showButton(state.kind === "waiting" || state.kind === "stopped");
  }

  private count(until: number): void {
    const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
    const text = seconds === 0 ? "Connecting…" : `Next attempt in ${seconds} s.`;
    if (this.countdown.textContent !== text) this.countdown.textContent = text;
  }

  private say(text: string): void {
    // Setting the same text again would announce it again.
    if (this.text.textContent !== text) this.text.textContent = text;
  }

  private showButton(visible: boolean): void {
    // Removing the focused element would move the focus to the top of the page.
    const leaving = !visible && document.activeElement === this.button;
    this.button.hidden = !visible;
    if (leaving) byId("text", HTMLTextAreaElement).focus();
  }
}
