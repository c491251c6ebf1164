import { COMMAND_ERRORS, commandError, Disconnect, DISCONNECTS } from "../codes.ts";
import { ping, rpc, send } from "./commands/call.ts";
import { authorizePublish, history, presence, presenceStats, publish } from "./commands/channel.ts";
import { connect, refresh } from "./commands/connect.ts";
import { subRefresh, subscribe, unsubscribe } from "./commands/subscribe.ts";
import type { HubConnection } from "../output/connection.ts";
import { costOf, EMPTY_LINE_COST, ERROR_COST, LINE_COST, PARSE_COST, UNREAD_COST } from "../limits/cost.ts";
import { type Parts, tellable } from "./parts.ts";
import type { Command, ConnectCommand, Method, PublishCommand } from "../protocol/command.ts";
import { decode, type Decoded } from "../protocol/decode.ts";
import { errorReply } from "../protocol/encode.ts";
import type { Session } from "./session.ts";

const MESSAGE_TOO_BIG = { code: 1009, reason: "message too big" }; // RFC 6455 §7.4.1

type Answered = Exclude<Decoded, { readonly method: "pong" | "malformed" }>;
type ChannelCommand = Extract<Command, { readonly channel: string }>;
type OtherCommand = Exclude<Command, ChannelCommand | ConnectCommand>;

/** Lines of one session that are read in one go where many wait. */
const LINES_AT_ONCE = 64;
/** Bytes of a line that count as one more step. */
const STEP_BYTES = 512;
/** Lines that a client may send beyond one for each byte that has come from it. */
const FREE_LINES = 64;

/** A message of the client's, until all of its commands are answered. */
interface Frame {
  readonly text: string;
  readonly bytes: number;
  /** Where the next line begins; behind the text: all are read. */
  at: number;
  /** Commands and pongs that were in it. */
  lines: number;
  /** Commands under way. */
  open: number;
  next: Frame | undefined;
}

/** A command that is being done. */
interface Started {
  /** Resolves when it is answered. */
  readonly done: Promise<void>;
  /** What the next command about the same channel waits for. */
  readonly turn: Promise<void> | undefined;
}

/**
 * The way in of one session. Each command gets one answer. Commands about one channel take effect
 * in the order they came in; what comes behind a connect command waits for it. Each line costs
 * before it is read: where too much is under way, or was done already, the rest of a frame waits,
 * and nothing more is read from the client.
 */
export class Reader {
  private readonly session: Session;
  private readonly parts: Parts;
  private readonly connection: HubConnection;
  /** Frames that are not read to their end, as a list: the first is being read. */
  private first: Frame | undefined;
  private last: Frame | undefined;
  private isReading = false;
  /** It has its turn soon: in a slice, or when it may cost something again. */
  private isDelayed = false;
  private stopTimer: (() => void) | undefined;
  /** On the hub's clock, when it began to read. */
  private now = 0;
  private refused = false;
  private hasAskedToConnect = false;
  /**
   * Lines that were read, and how many may be before the connection is asked how many bytes have
   * come.
   */
  private lines = 0;
  private mostLines = FREE_LINES;
  private pending = 0;
  /** Of frames with commands under way. */
  private pendingBytes = 0;
  private countedBytes = 0;
  private paused = false;
  /** Of channels with a command under way that the next one has to wait for. */
  private readonly underWay = new Map<string, Promise<void>>();

  constructor(session: Session, parts: Parts, connection: HubConnection) {
    this.session = session;
    this.parts = parts;
    this.connection = connection;
  }

  /** A frame: commands separated by newlines. `bytes`: of its UTF-8. */
  receive(text: string, bytes: number): void {
    const { session, parts } = this;
    if (session.state === "closed") return;
    parts.metrics.framesReceived++;
    parts.metrics.bytesReceived += bytes;
    if (bytes > parts.settings.limits.messageSize) return session.close(MESSAGE_TOO_BIG);
    session.seen();
    const frame = { text, bytes, at: 0, lines: 0, open: 0, next: undefined };
    if (this.last === undefined) this.first = frame;
    else this.last.next = frame;
    this.last = frame;
    if (!this.isDelayed) this.read();
  }

  /** The session has ended. */
  close(): void {
    this.first = this.last = undefined;
    this.stopTimer?.();
    this.countWaiting(0);
  }

  /** Reads lines as long as it may. In a slice: no more than so many. */
  private read(most = Infinity): void {
    if (this.isReading) return;
    this.isReading = true;
    const isSlice = most < Infinity;
    let isLate = false;
    this.now = this.parts.settings.clock.now();
    for (let frame = this.first; frame !== undefined; frame = this.first) {
      if (this.session.isClosed) {
        this.close();
        break;
      }
      if (!this.mayGoOn()) break;
      const end = frame.text.indexOf("\n", frame.at);
      const line = frame.text.slice(frame.at, end < 0 ? undefined : end);
      const { slices } = this.parts;
      isLate = isSlice ? --most < 0 || slices.isOver : slices.isLate(1 + line.length / STEP_BYTES);
      if (isLate) break;
      frame.at = end < 0 ? frame.text.length + 1 : end + 1;
      this.line(line, frame);
      if (end >= 0) continue;
      this.first = frame.next;
      if (this.first === undefined) this.last = undefined;
      if (frame.lines === 0 && !this.session.isClosed) this.malformed("an empty frame");
    }
    this.isReading = false;
    this.hold();
    if (isLate) this.continueInSlice();
  }

  /** Whether the next line may be read now. If not, it is seen to that it will be. */
  private mayGoOn(): boolean {
    const { session, parts } = this;
    if (session.state === "connecting" || this.isFull) return false;
    const delay = session.allowance.delay(this.now);
    if (delay === 0) return true;
    this.isDelayed = true;
    this.stopTimer = parts.settings.clock.after(delay, () => this.continue());
    return false;
  }

  private continueInSlice(): void {
    const { outbox } = this.session;
    this.isDelayed = true;
    outbox.hold();
    this.parts.slices.add(() => {
      outbox.release();
      this.continue(LINES_AT_ONCE);
      return undefined;
    });
  }

  private continue(most?: number): void {
    this.isDelayed = false;
    if (this.session.isClosed) this.close();
    else this.read(most);
  }

  private line(line: string, frame: Frame): void {
    const { session, parts, now } = this;
    if (++this.lines > this.mostLines) {
      // compressed, thousands of lines take a few bytes: each line is work, and a byte of what
      // comes has to be worth it
      this.mostLines = (this.connection.bytesReceived ?? Infinity) + FREE_LINES;
      if (this.lines > this.mostLines) return this.malformed("more lines than bytes");
    }
    if (line === "{}" || isBlank(line)) {
      session.allowance.charge(EMPTY_LINE_COST, now);
      if (line === "{}") frame.lines++;
      return;
    }
    frame.lines++;
    session.allowance.charge(LINE_COST + line.length * PARSE_COST, now);
    const decoded = decode(line, parts.settings.limits);
    if (decoded.method === "pong") return;
    if (decoded.method === "malformed") return this.malformed(decoded.fault);
    const done = this.take(decoded, line.length);
    if (done !== undefined) this.track(done, frame);
  }

  /** Counts a command until it is answered. */
  private track(done: Promise<void>, frame: Frame): void {
    this.pending++;
    if (frame.open++ === 0) this.pendingBytes += frame.bytes;
    void done.then(() => {
      this.pending--;
      if (--frame.open === 0) this.pendingBytes -= frame.bytes;
      if (this.paused && !this.isDelayed) this.read();
    });
  }

  private malformed(fault: string): void {
    this.session.close({ code: DISCONNECTS.BAD_REQUEST.code, reason: `${DISCONNECTS.BAD_REQUEST.reason}: ${fault}` });
  }

  /** A command's turn has come. Returns what tells when it is answered; undefined: it is. */
  private take(command: Answered, bytes: number): Promise<void> | undefined {
    const { session, parts, now } = this;
    const { allowance } = session;
    const asked = command.method === "refused" ? command.asked : command.method;
    parts.metrics.commands.add(asked);
    if (asked === "unknown") allowance.charge(UNREAD_COST, now);
    if (asked !== "connect" && session.state === "new") {
      if (this.refused) this.fail(asked, command.id, commandError("UNAUTHORIZED"));
      else this.malformed("the first command must be connect");
      return undefined;
    }
    if (asked !== "unknown" && !this.isWithinRate(asked)) {
      this.fail(asked, command.id, commandError("TOO_MANY_REQUESTS"));
      return undefined;
    }
    if (command.method === "refused") {
      this.fail(asked, command.id, command.error);
      return undefined;
    }
    const subscribers = command.method === "publish" ? (parts.channels.get(command.channel)?.subscriberCount ?? 0) : 0;
    allowance.charge(costOf(command, bytes, subscribers), now);
    if (command.method === "connect") return this.connect(command);
    if ("channel" in command) return this.inOrder(command);
    return this.answer(command, () => this.call(command));
  }

  private isWithinRate(method: Method): boolean {
    // the first one of a connection costs no more than the connection
    if (method === "connect" && !this.hasAskedToConnect) {
      this.hasAskedToConnect = true;
      return true;
    }
    return this.session.allowance.take(method, this.now);
  }

  private connect(command: ConnectCommand): Promise<void> | undefined {
    const { session, parts } = this;
    if (session.state !== "new") {
      this.fail(command.method, command.id, commandError("BAD_REQUEST", "already connected"));
      return undefined;
    }
    session.state = "connecting";
    return this.answer(command, () => connect(session, parts, command))?.then(() => this.release());
  }

  /** The connect command is through: what came behind it has its turn. */
  private release(): void {
    const { session } = this;
    if (session.state === "connecting") {
      session.state = "new";
      this.refused = true;
    }
    if (!this.isDelayed) this.read();
  }

  private inOrder(command: ChannelCommand): Promise<void> | undefined {
    const { channel } = command;
    const before = this.underWay.get(channel);
    if (before === undefined) {
      const started = this.perform(command);
      if (started?.turn !== undefined) this.setTurn(channel, started.turn);
      return started?.done;
    }
    const started = before.then(() => this.perform(command));
    this.setTurn(
      channel,
      started.then((each) => each?.turn),
    );
    return started.then((each) => each?.done);
  }

  private setTurn(channel: string, turn: Promise<void>): void {
    const tail = turn.then(() => {
      if (this.underWay.get(channel) === tail) this.underWay.delete(channel);
    });
    this.underWay.set(channel, tail);
  }

  /** Undefined: it is answered. */
  private perform(command: ChannelCommand): Started | undefined {
    const { session, parts } = this;
    if (session.state === "closed") return undefined;
    switch (command.method) {
      case "subscribe":
        return blocking(this.answer(command, () => subscribe(session, parts, command)));
      case "unsubscribe":
        return blocking(this.answer(command, () => unsubscribe(session, parts, command)));
      case "sub_refresh":
        return blocking(this.answer(command, () => subRefresh(session, parts, command)));
      case "publish":
        return this.publish(command);
      // these change nothing, so nothing waits for them
      case "presence":
        return free(this.answer(command, () => presence(session, parts, command)));
      case "presence_stats":
        return free(this.answer(command, () => presenceStats(session, parts, command)));
      case "history":
        return free(this.answer(command, () => history(session, parts, command)));
    }
  }

  /** The next command waits until it is allowed, and not until it is published. */
  private publish(command: PublishCommand): Started | undefined {
    const { session, parts } = this;
    const start = (): Promise<void> | undefined => this.answer(command, () => publish(session, parts, command));
    let published: Promise<void> | undefined;
    const turn = this.answer(command, () => {
      const allowed = authorizePublish(session, parts, command);
      if (allowed !== undefined) return allowed.then(() => void (published = start()));
      published = start();
      return undefined;
    });
    if (turn === undefined) return free(published);
    return { turn, done: turn.then(() => published) };
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

  /**
   * Does the work of a command, and answers where it fails. The promise never rejects; undefined:
   * it is done.
   */
  private answer(command: Command, work: () => void | Promise<void>): Promise<void> | undefined {
    const { method, id } = command;
    let working: void | Promise<void>;
    try {
      working = work();
    } catch (error) {
      this.fail(method, id, error);
      return undefined;
    }
    return working?.catch((error: unknown) => this.fail(method, id, error));
  }

  private fail(asked: string, id: number, error: unknown): void {
    const { session, parts } = this;
    if (session.state === "closed") return;
    const reported = tellable(error, parts.background.onError);
    parts.metrics.commandErrors.add(`${asked} ${reported.code}`);
    session.charge(ERROR_COST);
    if (reported instanceof Disconnect) session.close(reported);
    else if (id > 0) session.outbox.line(errorReply(id, reported));
    else
      session.close(
        reported.code === COMMAND_ERRORS.TOO_MANY_REQUESTS.code
          ? DISCONNECTS.TOO_MANY_REQUESTS
          : DISCONNECTS.BAD_REQUEST,
      );
  }

  /** Whether too much is under way. Where it was, half of it has to be done. */
  private get isFull(): boolean {
    const { pending, queueBytes } = this.parts.settings.limits;
    if (this.paused) return this.pending >= Math.ceil(pending / 2) || this.pendingBytes * 2 >= queueBytes;
    return this.pending >= pending || this.pendingBytes >= queueBytes;
  }

  /** While nothing more is read, what was read and waits counts in the memory budget. */
  private countWaiting(bytes: number): void {
    if (bytes === this.countedBytes) return;
    this.parts.memory.frame(bytes - this.countedBytes);
    this.countedBytes = bytes;
  }

  /** Reads on from the connection, or not. */
  private hold(): void {
    const isHeld = this.first !== undefined || this.isFull;
    if (isHeld === this.paused || this.session.isClosed) return;
    this.paused = this.session.readingPaused = isHeld;
    let bytes = isHeld ? this.pendingBytes : 0;
    for (let frame = this.first; frame !== undefined; frame = frame.next) bytes += frame.bytes;
    this.countWaiting(bytes);
    if (isHeld) this.connection.pause();
    else this.connection.resume();
  }
}

function blocking(done: Promise<void> | undefined): Started | undefined {
  return done === undefined ? undefined : { done, turn: done };
}

function free(done: Promise<void> | undefined): Started | undefined {
  return done === undefined ? undefined : { done, turn: undefined };
}

const SPACE = 32; // tab, newline and carriage return are below it

function isBlank(line: string): boolean {
  for (let at = 0; at < line.length; at++) if (line.charCodeAt(at) > SPACE) return false;
  return true;
}
