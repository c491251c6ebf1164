import { invalidOption } from "@tungstate/protocol/internal";
import type { Http2Session, Settings } from "node:http2";
import { NO_ERROR } from "../../http2/error-codes.ts";
import { type AnyHttp2Server, settingsOf } from "../../native/http2-options.ts";
import { describe } from "../../options/describe.ts";

const MAX_STREAMS = 2 ** 31 - 1; // RFC 9113 §5.1.1

/** Streams that a client may have open in a session: more than browsers open to a page. */
export const DEFAULT_MAX_CONCURRENT_STREAMS = 1_000;

/** Announces to clients that a server takes WebSockets over HTTP/2. */
export class Announcement {
  private readonly server: AnyHttp2Server;
  private readonly settings: Settings;
  private readonly before: boolean;
  /** Sessions whose first SETTINGS frame has the settings, or that got another frame. */
  private readonly informed = new WeakSet<Http2Session>();

  /**
   * Adds the settings to those of new sessions. `maxConcurrentStreams`: by default that of the
   * server, or 1,000.
   */
  constructor(server: AnyHttp2Server, maxConcurrentStreams: number | undefined) {
    const own = settingsOf(server);
    const streams = maxConcurrentStreams ?? own.maxConcurrentStreams ?? DEFAULT_MAX_CONCURRENT_STREAMS;
    this.server = server;
    this.before = own.enableConnectProtocol === true;
    // RFC 8441 §3: "Upon receipt of SETTINGS_ENABLE_CONNECT_PROTOCOL with a value of 1, a client
    // MAY use the Extended CONNECT"
    this.settings = { enableConnectProtocol: true, maxConcurrentStreams: streams };
    server.updateSettings(this.settings);
  }

  /** A session that began after this. */
  began(session: Http2Session): void {
    this.informed.add(session);
  }

  /** A session that has sent a request, and may have begun before this. */
  seen(session: Http2Session): void {
    if (this.informed.has(session) || session.destroyed) return;
    this.informed.add(session);
    session.settings(this.settings);
  }

  /** Leaves new sessions alone. RFC 8441 §3 allows no session to be told that it has ended. */
  end(): void {
    this.server.updateSettings({ enableConnectProtocol: this.before });
  }
}

/** Throws INVALID_ARGUMENT for a number of streams that cannot be announced. */
export function checkStreams(streams: unknown): void {
  if (streams === undefined || (Number.isInteger(streams) && Number(streams) >= 1 && Number(streams) <= MAX_STREAMS))
    return;
  throw invalidOption("maxConcurrentStreams", `an integer from 1 to ${MAX_STREAMS}`, streams, describe(streams));
}

/** Ends a session at once. `code`: an error code of RFC 9113 §7. */
export function endSession(session: Http2Session, code: number = NO_ERROR): void {
  if (session.destroyed) return;
  session.goaway(code);
  session.destroy();
}
