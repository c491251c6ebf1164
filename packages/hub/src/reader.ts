import { COMMAND_ERRORS, commandError, Disconnect, DISCONNECTS } from "./codes.ts";
import { ping, rpc, send } from "./commands/call.ts";
import { authorizePublish, history, presence, presenceStats, publish } from "./commands/channel.ts";
import { connect, refresh } from "./commands/connect.ts";
import { subRefresh, subscribe, unsubscribe } from "./commands/subscribe.ts";
import type { HubConnection } from "./connection.ts";
import { type Parts, tellable } from "./parts.ts";
import type { Command, ConnectCommand } from "./protocol/command.ts";
import { decode, type Decoded } from "./protocol/decode.ts";
import { errorReply } from "./protocol/encode.ts";
import { RateLimit } from "./rate-limit.ts";
import type { Session } from "./session.ts";

const MESSAGE_TOO_BIG = { code: 1009, reason: "message too big" }; // RFC 6455 §7.4.1

type Answered = Exclude<Decoded, { readonly method: "pong" | "malformed" }>;
type ChannelCommand = Extract<Command, { readonly channel: string }>;
type OtherCommand = Exclude<Command, ChannelCommand | ConnectCommand>;

/**
 * The way in of one session. Each command gets one answer. Commands about one channel take effect in the order they came in;
 * what comes behind a connect command waits for it.
 */
export class Reader {
  private readonly session: Session;
  private readonly parts: Parts;
  private readonly connection: HubConnection;
  private readonly rateLimit: RateLimit;
  /** What waits for the connect command to be through. */
  private held: Answered[] = [];
  private refused = false;
  private pending = 0;
  private paused = false;
  /** Of channels with a command under way that the next one has to wait for. */
  private readonly underWay = new Map<string, Promise<void>>();

  constructor(session: Session, parts: Parts, connection: HubConnection) {
    this.session = session;
    this.parts = parts;
    this.connection = connection;
    this.rateLimit = new RateLimit(parts.settings.limits.rates);
  }

  /** A frame: commands separated by newlines. `bytes`: of its UTF-8. */
  receive(text: string, bytes: number): void {
    const { session, parts } = this;
    if (session.state === "closed") return;
    parts.metrics.framesReceived++;
    parts.metrics.bytesReceived += bytes;
    if (bytes > parts.settings.limits.messageSize) return session.close(MESSAGE_TOO_BIG);
    session.seen();
    if (!text.includes("\n")) return this.line(text);
    let lines = 0;
    for (const line of text.split("\n")) {
      if (line.trim() === "") continue;
      lines++;
      this.line(line);
      if (session.isClosed) return;
    }
    if (lines === 0) this.malformed("an empty frame");
  }

  private line(line: string): void {
    const decoded = decode(line, this.parts.settings.limits);
    if (decoded.method === "pong") return;
    if (decoded.method === "malformed") return this.malformed(decoded.fault);
    const { state } = this.session;
    if (state === "connecting" && decoded.method !== "connect") {
      this.held.push(decoded);
      this.hold();
    } else {
      this.take(decoded);
    }
  }

  private malformed(fault: string): void {
    this.session.close({ code: DISCONNECTS.BAD_REQUEST.code, reason: `${DISCONNECTS.BAD_REQUEST.reason}: ${fault}` });
  }

  /** A command's turn has come. */
  private take(command: Answered): void {
    const { session, parts } = this;
    const asked = command.method === "refused" ? command.asked : command.method;
    parts.metrics.commands.add(asked);
    if (asked !== "connect" && session.state === "new") {
      if (!this.refused) return this.malformed("the first command has to be connect");
      return this.fail(asked, command.id, commandError("UNAUTHORIZED"));
    }
    if (asked !== "unknown" && !this.rateLimit.take(asked, parts.settings.clock.now())) {
      return this.fail(asked, command.id, commandError("TOO_MANY_REQUESTS"));
    }
    if (command.method === "refused") return this.fail(asked, command.id, command.error);
    if (command.method === "connect") this.connect(command);
    else if ("channel" in command) this.inOrder(command);
    else void this.answer(command, () => this.call(command));
  }

  private connect(command: ConnectCommand): void {
    const { session, parts } = this;
    if (session.state !== "new") {
      return this.fail(command.method, command.id, commandError("BAD_REQUEST", "already connected"));
    }
    session.state = "connecting";
    void this.answer(command, () => connect(session, parts, command))?.then(() => this.release());
  }

  /** The connect command is through: what came behind it has its turn. */
  private release(): void {
    const { session } = this;
    if (session.state === "connecting") {
      session.state = "new";
      this.refused = true;
    }
    const { held } = this;
    this.held = [];
    for (const command of held) if (!session.isClosed) this.take(command);
    this.hold();
  }

  private inOrder(command: ChannelCommand): void {
    const { channel } = command;
    const before = this.underWay.get(channel);
    const turn = before === undefined ? this.perform(command) : before.then(() => this.perform(command));
    if (turn === undefined) return;
    const tail = turn.then(() => {
      if (this.underWay.get(channel) === tail) this.underWay.delete(channel);
    });
    this.underWay.set(channel, tail);
  }

  /** Returns what the next command about the channel has to wait for. */
  private perform(command: ChannelCommand): Promise<void> | undefined {
    const { session, parts } = this;
    if (session.state === "closed") return undefined;
    switch (command.method) {
      case "subscribe":
        return this.answer(command, () => subscribe(session, parts, command));
      case "unsubscribe":
        return this.answer(command, () => unsubscribe(session, parts, command));
      case "sub_refresh":
        return this.answer(command, () => subRefresh(session, parts, command));
      case "publish":
        return this.answer(command, () => {
          const start = (): void => void this.answer(command, () => publish(session, parts, command));
          const allowed = authorizePublish(session, parts, command);
          if (allowed !== undefined) return allowed.then(start);
          return start();
        });
      // these change nothing, so nothing waits for them
      case "presence":
        void this.answer(command, () => presence(session, parts, command));
        return undefined;
      case "presence_stats":
        void this.answer(command, () => presenceStats(session, parts, command));
        return undefined;
      case "history":
        void this.answer(command, () => history(session, parts, command));
        return undefined;
    }
  }

  private call(command: OtherCommand): void | Promise<void> {
    const { session, parts } = this;
    switch (command.method) {
      case "rpc":
        return rpc(session, parts, command);
      case "send":
        return send(session, parts, command);
      case "refresh":
        return refresh(session, parts, command);
      case "ping":
        return ping(session, parts, command);
    }
  }

  /** Does the work of a command, and answers where it fails. The promise never rejects; undefined: it is done. */
  private answer(command: Command, work: () => void | Promise<void>): Promise<void> | undefined {
    const { method, id } = command;
    let working: void | Promise<void>;
    try {
      working = work();
    } catch (error) {
      this.fail(method, id, error);
      return undefined;
    }
    if (working === undefined) return undefined;
    this.pending++;
    this.hold();
    return working
      .catch((error: unknown) => this.fail(method, id, error))
      .then(() => {
        this.pending--;
        this.hold();
      });
  }

  private fail(asked: string, id: number, error: unknown): void {
    const { session, parts } = this;
    if (session.state === "closed") return;
    const told = tellable(error, parts.background.onError);
    parts.metrics.commandErrors.add(`${asked} ${told.code}`);
    if (told instanceof Disconnect) session.close(told);
    else if (id > 0) session.outbox.line(errorReply(id, told));
    else
      session.close(
        told.code === COMMAND_ERRORS.TOO_MANY_REQUESTS.code ? DISCONNECTS.TOO_MANY_REQUESTS : DISCONNECTS.BAD_REQUEST,
      );
  }

  /** Reads on, or not, by what is under way. */
  private hold(): void {
    const { pending } = this.parts.settings.limits;
    const full = this.held.length > 0 || this.pending >= (this.paused ? Math.ceil(pending / 2) : pending);
    if (full === this.paused || this.session.isClosed) return;
    this.paused = full;
    if (full) this.connection.pause();
    else this.connection.resume();
  }
}
