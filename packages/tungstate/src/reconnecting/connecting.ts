import type { HeaderInput, WebSocketError } from "@tungstate/protocol";
import { connectByRoutes } from "../client/connect.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { Routes } from "../dial/routes.ts";
import { classifyFailure, refusesCredentials } from "./classify-failure.ts";
import type { RetryDecision } from "./core/close-decision.ts";
import { provide } from "./core/provide.ts";
import type { Connecting, Network } from "./core/reconnect-loop.ts";
import type { Attempt } from "./core/types.ts";
import { type Networks, networksOf } from "./networks.ts";
import type { Connector, ReconnectSettings } from "./options.ts";
import { canSetUserTimeout } from "./user-timeout.ts";

/** The environment of the loop, replaced by tests. */
export interface Surroundings {
  readonly networks?: Networks;
  /** Milliseconds since 1970. */
  readonly wallClock?: () => number;
}

/** Makes the connections of `reconnecting` by `connect`, or by the application's connector. */
export class WebSocketConnecting implements Connecting<WebSocketConnection> {
  readonly mayRefresh: boolean;
  readonly waitsOffline = false; // a server may be on this machine
  readonly network: Network | undefined;
  private readonly settings: ReconnectSettings;
  private readonly wallClock: () => number;
  private readonly routes: Routes;
  private readonly connector: Connector;
  private userTimeout: Promise<boolean> | undefined;

  constructor(settings: ReconnectSettings, { networks = networksOf(settings.clock), wallClock }: Surroundings) {
    const { url, headers, protocols, interfaces } = settings;
    this.settings = settings;
    this.mayRefresh = [url, headers, protocols].some((each) => typeof each === "function");
    this.wallClock = wallClock ?? Date.now;
    this.routes = new Routes(settings.options);
    this.connector = settings.connect ?? ((to, options) => connectByRoutes(to, options, this.routes));
    this.network = settings.watchNetworks
      ? {
          get offline() {
            return networks.offline;
          },
          watch: (onGain) => networks.watch(interfaces, onGain),
        }
      : undefined;
  }

  async connect(attempt: Attempt): Promise<WebSocketConnection> {
    const { settings } = this;
    const [url, headers, protocols] = await provide<[string | URL, HeaderInput, string | readonly string[]]>(
      [settings.url, settings.headers, settings.protocols],
      attempt,
      settings.clock,
      settings.providerTimeout,
    );
    let { options } = settings;
    if (options.tcpUserTimeout !== undefined && !(await (this.userTimeout ??= canSetUserTimeout()))) {
      options = { ...options, tcpUserTimeout: undefined };
    }
    return this.connector(url, { ...options, headers, protocols, signal: attempt.signal });
  }

  classifyFailure(error: WebSocketError, mayRefresh: boolean): RetryDecision {
    return classifyFailure(error, { mayRefresh, now: this.wallClock() });
  }

  refusesCredentials(error: WebSocketError): boolean {
    return refusesCredentials(error);
  }

  lost(connection: WebSocketConnection): void {
    this.routes.failed(connection.route?.interface);
  }
}
