import { setTimeout as pause } from "node:timers/promises";
import { BINARY, type ConformanceCase, payloadBytes, payloadIs, type Step, TEXT } from "../cases/case.ts";
import { corpus, slice } from "../cases/corpus.ts";
import { encodeFrame, fragments, headerLength } from "../wire/frame-writer.ts";
import type { Peer } from "./peer.ts";

/**
 * A second connection to the same implementation, used to prove that it had time to read bytes of
 * the first.
 */
export interface Sibling {
  /** Resolves when a ping was answered. */
  roundTrip(): Promise<void>;
  close(): Promise<void>;
}

export interface PlayOptions {
  /** Deadline for each expected event. */
  readonly deadlineMs: number;
  /** Maximum number of round trips of a compressed case. */
  readonly messages: number;
  readonly sibling: () => Promise<Sibling>;
}

/** Observations that are not among the received events. */
export interface Played {
  /** A message that was not echoed correctly. */
  readonly mismatch: string | undefined;
  /** What was still expected at the deadline. */
  readonly missing: string | undefined;
}

type RoundTrips = Extract<Step, { do: "round-trips" }>;
type Pieces = Extract<Step, { do: "send-in-pieces" }>;

/**
 * How long an implementation has to fail an incomplete frame. It cannot be asked whether it has
 * read a part of a frame. But it had to answer that many pings on another connection meanwhile,
 * which takes longer on a slow machine.
 */
const SETTLE_ROUND_TRIPS = 3;
const SETTLE_MS = 200;

/**
 * Runs the steps of a case until the connection has ended. The peer then holds what was received.
 */
export async function play(test: ConformanceCase, peer: Peer, options: PlayOptions): Promise<Played> {
  const run = new Run(test, peer, options);
  await run.steps();
  await run.finish();
  return { mismatch: run.mismatch, missing: run.missing };
}

class Run {
  mismatch: string | undefined;
  missing: string | undefined;
  readonly #test: ConformanceCase;
  readonly #peer: Peer;
  readonly #options: PlayOptions;

  constructor(test: ConformanceCase, peer: Peer, options: PlayOptions) {
    this.#test = test;
    this.#peer = peer;
    this.#options = options;
  }

  async steps(): Promise<void> {
    if (this.#test.deflate !== undefined && this.#peer.deflater === undefined) return;
    for (const step of this.#test.steps) {
      if (this.#peer.hasEnded || this.#hasFailed) return;
      await this.#step(step);
    }
  }

  /** Waits for the end of the connection, and ends it where the suite must. */
  async finish(): Promise<void> {
    const peer = this.#peer;
    if (this.#test.close.by === "suite" && !peer.closeSent) {
      await this.#until(() => this.#hasFailed || peer.events.length >= this.#test.ok.length, "the echo");
      if (!peer.hasEnded) peer.sendClose(1000);
    }
    await this.#until(() => peer.close !== undefined, "a Close");
    // Do not wait after a violation.
    if (peer.violation !== undefined) return;
    if (peer.close !== undefined && !peer.closeSent) peer.sendClose(peer.close.code);
    // RFC 6455 §7.1.1: the server ends the byte stream first.
    if (peer.role === "server" && peer.close !== undefined) peer.end();
    const isEnded = (): boolean => peer.ended || peer.violation !== undefined;
    if (this.missing === undefined) await this.#until(isEnded, "the end of the connection", false);
  }

  get #hasFailed(): boolean {
    return this.mismatch !== undefined || this.missing !== undefined;
  }

  async #until(condition: () => boolean, what: string, orEnded = true): Promise<void> {
    const { deadlineMs } = this.#options;
    const isIn = await this.#peer.until(() => condition() || (orEnded && this.#peer.hasEnded), deadlineMs);
    if (!isIn) this.missing ??= `${what} did not arrive within ${deadlineMs} ms`;
  }

  async #step(step: Step): Promise<void> {
    const peer = this.#peer;
    switch (step.do) {
      case "send":
        await peer.send(step.frames, step.chop);
        return;
      case "send-message":
        await peer.send(fragments(step.text ? TEXT : BINARY, payloadBytes(step.payload), step.fragmentSize), "whole");
        return;
      case "send-in-pieces":
        await this.#sendInPieces(step);
        return;
      case "checkpoint":
        if (!(await peer.checkpoint(step.name, this.#options.deadlineMs)) && !peer.hasEnded) {
          this.missing = `no pong arrived within ${this.#options.deadlineMs} ms`;
        }
        return;
      case "await-events":
        await this.#until(() => peer.events.length >= step.count, `event ${step.count}`);
        return;
      case "round-trips":
        await this.#roundTrips(step);
    }
  }

  async #sendInPieces({ frame, cuts, checkpoints }: Pieces): Promise<void> {
    const peer = this.#peer;
    const bytes = encodeFrame(frame, peer.masks);
    const header = headerLength(frame.payload ?? Buffer.alloc(0), peer.masks);
    let sent = 0;
    for (const [index, cut] of cuts.entries()) {
      await peer.sendBytes([bytes.subarray(sent, header + cut)]);
      sent = header + cut;
      await this.#settle();
      if (peer.hasEnded) return;
      peer.passCheckpoint(checkpoints[index] ?? "");
    }
    await peer.sendBytes([bytes.subarray(sent)]);
  }

  /** Returns when the remote had time to read everything, or has closed. */
  async #settle(): Promise<void> {
    const sibling = await this.#options.sibling();
    const waited = pause(SETTLE_MS);
    for (let count = 0; count < SETTLE_ROUND_TRIPS; count++) await sibling.roundTrip();
    await waited;
    await sibling.close();
  }

  async #roundTrips({ count, text, length, source, fragmentSize }: RoundTrips): Promise<void> {
    const peer = this.#peer;
    const data = typeof source === "string" ? corpus(source) : Buffer.alloc(length, source);
    const total = this.#test.deflate === undefined ? count : Math.min(count, this.#options.messages);
    for (let index = 0; index < total; index++) {
      const message = slice(data, index * length, length);
      const payload = peer.deflater?.compress(message) ?? message;
      const rsv = peer.deflater === undefined ? 0 : 4;
      await peer.send(fragments(text ? TEXT : BINARY, payload, fragmentSize, rsv), "whole");
      await this.#until(() => peer.events.length > 0, `message ${index + 1}`);
      const event = peer.events.shift();
      if (event === undefined) return;
      if (event.is !== "message" || event.text !== text || !payloadIs(event.payload, message)) {
        this.mismatch = `message ${index + 1} was not echoed correctly`;
        return;
      }
    }
  }
}
