import { type BrokerHandler, MemoryEngine, MemoryPresenceStore } from "@tungstate/hub";
import { accept, client } from "tungstate";
import type { Faults } from "./faulty-broker.ts";
import { Node, type Shared } from "./node.ts";
import { Subscriber, Truth } from "./subscriber.ts";
import { COMPRESSION, type Directory, Talker } from "./talk.ts";
import { CALM, Finding, hold, Trace, type Weather, World } from "./world.ts";

const PRESENCE_TTL = 9_000; // ms
const STORM = { least: 5_000, most: 30_000 }; // ms
const RECOVERY = 60_000; // ms in which all clients must recover

/** The result of a run. */
export interface Outcome {
  readonly seed: number;
  /** Hash of everything that happened, byte by byte. */
  readonly hash: string;
  readonly lines: number;
  /** Number of events by type. */
  readonly counts: ReadonlyMap<string, number>;
  /** The failure; undefined: none. */
  readonly failure: string | undefined;
  /** The end of the trace, if the run failed. */
  readonly tail: readonly string[];
}

/** Runs a world to its end. */
export async function simulate(seed: number, onLine?: (line: string) => void): Promise<Outcome> {
  await evenOut();
  const trace = new Trace(onLine);
  const world = new World(seed, trace);
  let failure: string | undefined;
  try {
    await play(world);
  } catch (error) {
    failure =
      error instanceof Finding
        ? error.message
        : error instanceof Error
          ? (error.stack ?? String(error))
          : String(error);
  }
  return {
    seed,
    hash: trace.digest(),
    lines: trace.lines,
    counts: world.counts,
    failure,
    tail: failure === undefined ? [] : trace.last,
  };
}

/**
 * The output of zlib may depend on data of previous messages in its memory: Node's zlib hashes four
 * bytes at a time, at the end of a message including those after it. So the same message, long
 * enough to fill the window, is compressed before each run.
 */
async function evenOut(): Promise<void> {
  const world = new World(0, new Trace());
  const { near, far } = world.link(CALM);
  const options = {
    clock: world.life("even"),
    fillRandom: (target: Uint8Array) => world.dice.bytes(target),
    compression: COMPRESSION,
  };
  const pair = Promise.all([client("ws://node/", near, options), accept(far, options)]);
  await world.run(100);
  const ends = await pair;
  for (const end of ends) end.write(FILLING);
  await world.run(100);
  for (const end of ends) end.terminate();
  await world.run(100);
}

const FILLING = Array.from({ length: 20_000 }, (_, at) => Math.imul(at, 0x9e3779b1).toString(36)).join(" ");

function stormOf({ dice }: World): Weather {
  return {
    latency: dice.whole(0, 100),
    jitter: dice.chance(0.5) ? dice.whole(0, 50) : 0,
    chunking: dice.chance(0.3),
    stalls: dice.chance(0.3) ? 0.05 : 0,
    resets: dice.pick([0, 0.2, 0.6]),
    silences: dice.pick([0, 0.2, 0.5]),
    within: dice.whole(50, 15_000),
  };
}

function faultsOf({ dice }: World): Faults {
  return {
    on: true,
    loss: dice.pick([0, 0.05, 0.3]),
    delay: dice.pick([0, 0.1]),
    rejection: dice.pick([0, 0.02, 0.1]),
  };
}

/**
 * Three phases: failures of all kinds; then none, in which everyone must recover; then a shutdown.
 */
async function play(world: World): Promise<void> {
  const { dice } = world;
  const operator = world.life("operator");
  const truth = new Truth();
  let epochs = 0;
  const engine = new MemoryEngine({ clock: operator, newEpoch: () => `epoch${epochs++}` });
  const channels = ["red", "green"].slice(0, dice.whole(1, 2));
  const witness = engine.attach(witnessOf(truth));
  for (const channel of channels) engine.subscribe(witness, channel);
  const faults = faultsOf(world);
  const presence = new MemoryPresenceStore({ clock: operator, ttl: PRESENCE_TTL });
  const shared: Shared = { engine, presence, faults, historySize: dice.pick([3, 30]) };

  let ids = 0;
  const startNode = async (): Promise<Node> => {
    const node = new Node(world, `node${ids++}`, shared, () => `id${ids++}`);
    await node.start();
    return node;
  };
  const dead: Node[] = [];
  const nodes: Node[] = [];
  for (let count = dice.whole(1, 3); count > 0; count--) nodes.push(await startNode());
  const where = { nodes, weather: stormOf(world), stormy: true };
  const directory: Directory = where;
  const talkers = Array.from({ length: dice.whole(0, 2) }, (_, at) => new Talker(world, `talker${at}`, directory));
  const subscribers = Array.from(
    { length: dice.whole(1, 4) },
    (_, at) => new Subscriber(world, `subscriber${at}`, directory, channels, truth),
  );

  // publications and deaths
  let number = 0;
  const publish = (): void => {
    if (!operator.alive) return;
    const alive = nodes.filter((node) => node.life.alive);
    if (alive.length > 0) {
      const channel = dice.pick(channels);
      world.count("publications");
      const data = { number: number++, padding: "z".repeat(dice.whole(0, 200)) };
      dice
        .pick(alive)
        .hub.publish(channel, data)
        .catch(() => {
          world.count("publications rejected");
          world.log("operator", "a publication failed");
        });
    }
    operator.after(dice.whole(5, 1_000), publish);
  };
  publish();
  const storm = dice.whole(STORM.least, STORM.most);
  for (let deaths = dice.pick([0, 0, 1, 3]); deaths > 0; deaths--) {
    operator.after(dice.whole(100, storm), () => {
      const node = nodes.shift();
      if (node === undefined) return;
      world.count("deaths of nodes");
      node.die(dice.chance(0.5));
      dead.push(node);
      operator.after(
        dice.whole(10, 3_000),
        () =>
          void startNode().then(
            (born) => nodes.push(born),
            (error: unknown) => world.fail(error),
          ),
      );
    });
  }
  await world.run(storm);

  // no failures: what is in transit may still be lost, what starts now may not
  world.log("operator", "failures stop");
  where.weather = CALM;
  where.stormy = false;
  faults.on = false;
  const all = [...talkers, ...subscribers];
  const allOpen = (): boolean => all.every(({ connection }) => connection.status.state === "open");
  await world.runUntil(RECOVERY, () => nodes.length > 0 && allOpen());
  operator.alive = false; // no more publications
  const quiet = world.life("quiet");
  const settled = await world.runUntil(RECOVERY, () => subscribers.every((each) => each.caughtUp()));
  hold(settled, () => `not caught up: ${subscribers.map((each) => each.describe()).join(" | ")}`);
  const open = await world.runUntil(RECOVERY, allOpen);
  hold(open, () => `not open: ${all.map(({ name, connection }) => `${name} ${connection.status.state}`).join()}`);
  await checkPresence(world, nodes, channels, subscribers);
  for (const node of nodes) node.checkMemory();

  // the end
  for (const talker of talkers) talker.stop();
  const closing = all.map(({ connection }) => connection.close());
  const early = dice.chance(0.5) ? nodes.map((node) => node.stop()) : [];
  await world.run(10_000);
  const stopped = early.length > 0 ? early : nodes.map((node) => node.stop());
  await world.run(10_000);
  await inTime(world, Promise.all([...closing, ...stopped]), "the end");
  await world.run(5_000);
  for (const each of [...all, ...nodes]) each.checkEnd();
  hold(quiet.pending === 0, () => "timers are left");
}

/** Records each publication as the store assigned it. */
function witnessOf(truth: Truth): BrokerHandler {
  return {
    publication: (channel, publication, epoch) => {
      truth.publication(channel, epoch, publication.offset, publication.data);
      return undefined;
    },
    join: () => undefined,
    leave: () => undefined,
    control: () => undefined,
    interrupted: () => undefined,
  };
}

/** Dead nodes and lost connections expire; after that presence must be correct. */
async function checkPresence(
  world: World,
  nodes: readonly Node[],
  channels: readonly string[],
  subscribers: readonly Subscriber[],
): Promise<void> {
  let wrong: string | undefined;
  for (const end = world.time + 4 * PRESENCE_TTL; world.time < end; await world.run(1_000)) {
    wrong = undefined;
    const here = subscribers.map((each) => each.client ?? "nobody").toSorted();
    for (const channel of channels) {
      for (const { hub, name } of nodes) {
        const present = await inTime(world, hub.presence(channel), "presence");
        const clients = present.map((each) => each.client).toSorted();
        if (JSON.stringify(clients) !== JSON.stringify(here)) {
          wrong = `${name} ${channel}: present are ${clients.join()}, there are ${here.join()}`;
        }
      }
    }
    if (wrong === undefined) return;
  }
  hold(wrong === undefined, () => wrong ?? "");
}

/** A promise that must be settled by now. */
async function inTime<T>(world: World, promise: Promise<T>, what: string): Promise<T> {
  let settled = false;
  const result = promise.finally(() => (settled = true));
  result.catch(() => undefined);
  await world.run(100);
  hold(settled, () => `${what} does not end`);
  return result;
}
