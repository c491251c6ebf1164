import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Clock } from "../../src/schedule/clock.ts";
import { Flusher } from "../../src/schedule/flusher.ts";

/** A clock whose ticks the test ends. */
class Turns implements Clock {
  private readonly ends: (() => void)[] = [];

  now(): number {
    return 0;
  }

  after(): () => void {
    return () => undefined;
  }

  endOfTick(callback: () => void): void {
    this.ends.push(callback);
  }

  /** Returns how many had waited for it. */
  end(): number {
    const ends = this.ends.splice(0);
    for (const end of ends) end();
    return ends.length;
  }
}

interface Peer {
  flushed: number;
  flushNow(): void;
}

function setUp(count: number): { turns: Turns; flusher: Flusher; peers: Peer[]; flushed: () => number } {
  const turns = new Turns();
  const peers = Array.from({ length: count }, () => ({
    flushed: 0,
    flushNow() {
      this.flushed++;
    },
  }));
  return {
    turns,
    flusher: new Flusher(turns),
    peers,
    flushed: () => peers.reduce((sum, peer) => sum + peer.flushed, 0),
  };
}

function read(flusher: Flusher, peer: Peer, handle: () => void): void {
  flusher.reading = peer;
  handle();
  flusher.wasRead();
}

describe("a connection that only replies to its own peer", () => {
  test("is flushed at the end of the tick, if there are few", () => {
    const { turns, flusher, peers, flushed } = setUp(31);
    for (const peer of peers) read(flusher, peer, () => flusher.add(peer));
    assert.equal(flushed(), 0);
    assert.equal(turns.end(), 1);
    assert.equal(flushed(), 31);
    assert.ok(peers.every((peer) => peer.flushed === 1));
    assert.equal(turns.end(), 0);
  });

  test("is flushed in batches, if there are many, and once", () => {
    const { turns, flusher, peers, flushed } = setUp(100);
    for (const [number, peer] of peers.entries()) {
      read(flusher, peer, () => flusher.add(peer));
      assert.equal(flushed(), number + 1 - ((number + 1) % 32));
    }
    assert.equal(turns.end(), 1);
    assert.ok(peers.every((peer) => peer.flushed === 1));
  });
});

describe("waits for the end of the tick, however many there are", () => {
  test("a connection written to because of another one", () => {
    const { turns, flusher, peers, flushed } = setUp(100);
    const other: Peer = { flushed: 0, flushNow: () => undefined };
    read(flusher, other, () => {
      for (const peer of peers) flusher.add(peer);
    });
    for (const peer of peers.slice(0, 50)) read(flusher, peer, () => flusher.add(other));
    assert.equal(flushed(), 0);
    turns.end();
    assert.equal(flushed(), 100);
  });

  test("a connection written to while none is being read is flushed in the next tick", () => {
    const { turns, flusher, peers, flushed } = setUp(40);
    flusher.add(peers[0] ?? assert.fail());
    for (const peer of peers.slice(1)) read(flusher, peer, () => flusher.add(peer));
    assert.equal(flushed(), 0);
    turns.end();
    assert.equal(flushed(), 40);
    for (const peer of peers) read(flusher, peer, () => flusher.add(peer));
    assert.equal(flushed(), 72);
    turns.end();
    assert.equal(flushed(), 80);
  });

  test("all are flushed if a Close is pending", () => {
    const { turns, flusher, peers, flushed } = setUp(40);
    for (const [number, peer] of peers.entries()) {
      read(flusher, peer, () => {
        flusher.add(peer);
        if (number === 31) flusher.holdAll();
      });
    }
    assert.equal(flushed(), 0);
    turns.end();
    assert.equal(flushed(), 40);
  });

  test("all are flushed while a broadcast is distributed", () => {
    const { turns, flusher, peers, flushed } = setUp(40);
    const order: string[] = [];
    flusher.addBroadcasts({ distribute: () => order.push(`distributed before ${flushed()}`) });
    for (const peer of peers) read(flusher, peer, () => flusher.add(peer));
    assert.equal(flushed(), 0);
    turns.end();
    assert.deepEqual(order, ["distributed before 0"]);
    assert.equal(flushed(), 40);
  });

  test("connections may write while others are flushed", () => {
    const { turns, flusher, peers, flushed } = setUp(40);
    const late: Peer = { flushed: 0, flushNow: () => late.flushed++ };
    const [first] = peers;
    assert.ok(first !== undefined);
    first.flushNow = () => {
      first.flushed++;
      if (late.flushed === 0) flusher.add(late);
    };
    for (const peer of peers) read(flusher, peer, () => flusher.add(peer));
    assert.equal(flushed(), 32);
    assert.equal(late.flushed, 0);
    turns.end();
    assert.equal(flushed(), 40);
    assert.equal(late.flushed, 1);
  });
});
