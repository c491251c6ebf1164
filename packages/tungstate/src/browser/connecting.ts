import type { WebSocketError } from "@tungstate/protocol";
import { AGAIN, type RetryDecision } from "../reconnecting/core/close-decision.ts";
import type { Connecting, Network } from "../reconnecting/core/reconnect-loop.ts";
import { provide } from "../reconnecting/core/provide.ts";
import type { Attempt } from "../reconnecting/core/types.ts";
import { onAbort } from "../schedule/abort-signal.ts";
import { Link } from "./link.ts";
import { browserError } from "./errors.ts";
import { browserNetwork } from "./network.ts";
import type { BrowserSettings } from "./options.ts";
import { platform, type PlatformWebSocket } from "./platform.ts";

/** Opens the connections of `reconnecting` with the platform's WebSocket. */
export class BrowserConnecting implements Connecting<Link> {
  /** A page cannot read the status of a failed handshake, so rejected credentials are unknown. */
  readonly mayRefresh = false;
  readonly waitsOffline = true;
  readonly network: Network | undefined;
  readonly #settings: BrowserSettings;

  constructor(settings: BrowserSettings) {
    this.#settings = settings;
    this.network = settings.watchNetworks ? browserNetwork : undefined;
  }

  async connect(attempt: Attempt): Promise<Link> {
    const settings = this.#settings;
    const [url, protocols] = await provide<[string | URL, string | readonly string[]]>(
      [settings.url, settings.protocols],
      attempt,
      settings.clock,
      settings.providerTimeout,
    );
    return this.#open(url, typeof protocols === "string" ? [protocols] : [...protocols], attempt.signal);
  }

  #open(url: string | URL, protocols: string[], signal: AbortSignal): Promise<Link> {
    const settings = this.#settings;
    return new Promise((resolve, reject) => {
      const socket = create(settings, url, protocols);
      socket.binaryType = "arraybuffer";
      socket.onerror = () => undefined; // `close` follows; some classes throw without a listener
      const fail = (error: Error): void => {
        settle();
        socket.onopen = socket.onclose = null;
        socket.close();
        reject(error);
      };
      const { clock, timeout } = settings;
      const cancel = clock.after(timeout, () => fail(browserError("ATTEMPT_TIMEOUT", `${timeout} ms`)));
      const unlink = onAbort(signal, () => fail(browserError("ATTEMPT_FAILED", "aborted")));
      const settle = (): void => {
        cancel();
        unlink();
      };
      socket.onopen = () => {
        settle();
        resolve(new Link(socket, settings));
      };
      socket.onclose = () => fail(browserError("ATTEMPT_FAILED"));
    });
  }

  classifyFailure(error: WebSocketError): RetryDecision {
    return error.fault === "local" && error.code !== "PROVIDER_TIMEOUT" && error.code !== "PROVIDER_FAILED"
      ? { again: false, error }
      : AGAIN;
  }

  refusesCredentials(): boolean {
    return false;
  }
}

/** Resolves relative URLs, and http: and https:, as the current standard does. */
function create({ WebSocket }: BrowserSettings, given: string | URL, protocols: string[]): PlatformWebSocket {
  try {
    const url = new URL(given, platform.location?.href);
    url.protocol = url.protocol.replace("http", "ws");
    return new WebSocket(url.href, protocols);
  } catch (error) {
    throw browserError("INVALID_URL", String(error), { cause: error });
  }
}
