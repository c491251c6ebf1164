import type { Network } from "../reconnecting/core/reconnect-loop.ts";
import { platform } from "./platform.ts";

/**
 * Detects that the network may be available again: the browser is online again, or the page is
 * shown again or no longer frozen. (Timers of a frozen page stop, and those of a hidden page are
 * late.)
 */
export const browserNetwork: Network = {
  get offline() {
    return platform.navigator?.onLine === false;
  },
  watch(onGain) {
    const { document } = platform;
    const shown = (): void => {
      if (document?.visibilityState !== "hidden") onGain();
    };
    const online = [platform, "online", onGain] as const;
    const shownAgain = [platform, "pageshow", onGain] as const;
    const continued = [document, "resume", onGain] as const;
    const visible = [document, "visibilitychange", shown] as const;
    const all = [online, shownAgain, continued, visible];
    for (const [source, event, listener] of all) source?.addEventListener?.(event, listener);
    return () => {
      for (const [source, event, listener] of all) source?.removeEventListener?.(event, listener);
    };
  },
};
