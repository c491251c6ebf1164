import { connectionLimit } from "../runner/machine.ts";

export const PEERS = ["tungstate", "socketio", "sockets", "c"] as const;
export type Peer = (typeof PEERS)[number];

export const PEER_TITLES: Readonly<Record<Peer, string>> = {
  tungstate: "Tungstate's hub",
  socketio: "Socket.IO",
  sockets: "floor: broadcast",
  c: "floor: C epoll",
};

/** Options of the load generator (bench/hub/load.c). */
export interface Load {
  readonly mode: "stream" | "return";
  /** Namespace of the channels. */
  readonly name: string;
  readonly channels: number;
  /** Subscribers of each channel. */
  readonly per: number;
  /** Channels of each subscriber. */
  readonly each?: number;
  /** ms between two publications. 0: keep `depth` publications in flight. */
  readonly every?: number;
  readonly depth?: number;
  /** Publications in each channel while its subscribers are away. */
  readonly missed?: number;
  /** Concurrent connection attempts. */
  readonly opening?: number;
}

export interface Row {
  readonly name: RowName;
  readonly title: string;
  readonly peers: readonly Peer[];
  /** Publications that a channel must keep. */
  readonly history?: number;
  readonly load: Load;
}

export const ROW_NAMES = ["fanout", "calm", "channels", "history", "storm", "lobby"] as const;
export type RowName = (typeof ROW_NAMES)[number];

const PER = 100; // subscribers of each of many channels
const EACH = 10; // channels of each of their subscribers
const EXTRA = 100; // connections that are not subscribers

/** Returns the rows at a scale (1 is the published one), limited by the number of open files. */
export function rowsAt(scale: number): Readonly<Record<RowName, Row>> {
  const most = connectionLimit().connections - EXTRA;
  const count = (whole: number, limit = Infinity): number => Math.max(1, Math.min(Math.round(whole * scale), limit));
  const subscribers = count(10_000, most);
  const groups = count(100, Math.floor(most / PER));
  const rooms = count(50, Math.floor(most / PER));
  const missed = count(100_000);
  const storm: Load = { mode: "return", name: "room", channels: rooms, per: PER, missed: 20, every: 10, opening: 5000 };
  return {
    fanout: {
      name: "fanout",
      title: `${number(subscribers)} subscribers of one channel, 64 B every 10 ms`,
      peers: PEERS,
      load: { mode: "stream", name: "ticker", channels: 1, per: subscribers, every: 10 },
    },
    calm: {
      name: "calm",
      title: `${number(subscribers)} subscribers of one channel, 64 B every 200 ms`,
      peers: PEERS,
      load: { mode: "stream", name: "ticker", channels: 1, per: subscribers, every: 200 },
    },
    channels: {
      name: "channels",
      title: `${number(groups * EACH)} channels x ${PER} subscribers, 64 B, 100 publications in flight`,
      peers: ["tungstate", "socketio"],
      load: { mode: "stream", name: "ticker", channels: groups * EACH, per: PER, each: EACH, every: 0, depth: 100 },
    },
    history: {
      name: "history",
      title: `${number(missed)} publications of 64 B to history, recovered by one client`,
      peers: ["tungstate", "socketio"],
      history: missed + 10,
      load: { mode: "return", name: "room", channels: 1, per: 1, missed },
    },
    storm: {
      name: "storm",
      title: `${number(rooms * PER)} sessions in ${rooms} channels are disconnected, miss 20 publications and reconnect at once`,
      peers: ["tungstate", "socketio"],
      history: 1000,
      load: storm,
    },
    lobby: {
      name: "lobby",
      title: "the same with presence, joins and leaves",
      peers: ["tungstate"],
      history: 1000,
      load: { ...storm, name: "lobby" },
    },
  };
}

function number(value: number): string {
  return value.toLocaleString("en");
}
