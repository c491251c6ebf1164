import { setTimeout as pause } from "node:timers/promises";
import { BINARY, type ConformanceCase, payloadBytes, payloadIs, type Step, TEXT } from "../cases/case.ts";
import { corpus, slice } from "../cases/corpus.ts";
import { encodeFrame, fragments, headerLength } from "../wire/frame-writer.ts";
import type { Peer } from "./peer.ts";

/** A second connection to the same implementation, to see that it had time to read what came on the first. */
export interface Sibling {
  /** Resolves when a ping has been answered. */
  roundTrip(): Promise<void>;
  close(): Promise<void>;
}

export interface PlayOptions {
  /** For each single thing that is waited for. */
  readonly deadlineMs: number;
  /** How many round trips of a compressed case are made, at most. */
  readonly messages: number;
  readonly sibling: () => Promise<Sibling>;
}

/** What could not be seen in the events that came. */
export interface Played {
  /** A message of the round trips that did not come back as it was sent. */
  readonly mismatch: string | undefined;
  /** What was still waited for at the deadline. */
  readonly missing: string | undefined;
}

type RoundTrips = Extract<Step, { do: "round-trips" }>;
type Pieces = Extract<Step, { do: "send-in-pieces" }>;

/**
 * How long an implementation gets to fail a frame that is not whole yet. It can't be asked whether it has read a piece of
 * a frame; but it had to answer so many pings on another connection meanwhile, and that takes longer on a slow machine.
 */
const SETTLE_ROUND_TRIPS = 3;
const SETTLE_MS = 200;

/** Plays a case's steps and the end of the connection. What came is in the peer afterwards. */
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
      if (this.#peer.over || this.#hasFailed) return;
      await this.#step(step);
    }
  }

  /** Brings the connection to its end, however it has to come to it. */
  async finish(): Promise<void> {
    const peer = this.#peer;
    if (this.#test.close.by === "suite" && !peer.closeSent) {
      await this.#until(() => this.#hasFailed || peer.events.length >= this.#test.ok.length, "what has to come back");
      if (!peer.over) peer.sendClose(1000);
    }
    await this.#until(() => peer.close !== undefined, "a Close");
    // What broke the protocol is not waited for.
    if (peer.violation !== undefined) return;
    if (peer.close !== undefined && !peer.closeSent) peer.sendClose(peer.close.code);
    // RFC 6455 §7.1.1: it is the server that ends the byte stream first.
    if (peer.role === "server" && peer.close !== undefined) peer.end();
    const isEnded = (): boolean => peer.ended || peer.violation !== undefined;
    if (this.missing === undefined) await this.#until(isEnded, "the end of the connection", false);
  }

  get #hasFailed(): boolean {
    return this.mismatch !== undefined || this.missing !== undefined;
  }

  async #until(condition: () => boolean, what: string, orOver = true): Promise<void> {
    const { deadlineMs } = this.#options;
    const isIn = await this.#peer.until(() => condition() || (orOver && this.#peer.over), deadlineMs);
    if (!isIn) this.missing ??= `${what} did not come within ${deadlineMs} ms`;
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
        if (!(await peer.checkpoint(step.name, this.#options.deadlineMs)) && !peer.over) {
          this.missing = `a pong did not come within ${this.#options.deadlineMs} ms`;
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
      if (peer.over) return;
      peer.passCheckpoint(checkpoints[index] ?? "");
    }
    await peer.sendBytes([bytes.subarray(sent)]);
  }

  /** Returns when the remote had time to read all, or has closed. */
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
        this.mismatch = `message ${index + 1} did not come back as it was sent`;
        return;
      }
    }
  }
}
