import { connectionLimit } from "../runner/machine.ts";

export const PEERS = ["tungstate", "socketio", "sockets", "c"] as const;
export type Peer = (typeof PEERS)[number];

export const PEER_TITLES: Readonly<Record<Peer, string>> = {
  tungstate: "Tungstate's hub",
  socketio: "Socket.IO",
  sockets: "floor: broadcast",
  c: "floor: C epoll",
};

/** What the load generator (bench/hub/load.c) is to do. */
export interface Load {
  readonly mode: "stream" | "return";
  /** Of the channels: the namespace. */
  readonly name: string;
  readonly channels: number;
  /** Subscribers of a channel. */
  readonly per: number;
  /** Channels of a subscriber. */
  readonly each?: number;
  /** ms between two publications; 0: `depth` of them are on their way at any time. */
  readonly every?: number;
  readonly depth?: number;
  /** Publications in each channel while the subscribers are away. */
  readonly missed?: number;
  /** Connections that are being opened at any time. */
  readonly opening?: number;
}

export interface Row {
  readonly name: RowName;
  readonly title: string;
  readonly peers: readonly Peer[];
  /** Publications that a channel has to keep. */
  readonly history?: number;
  readonly load: Load;
}

export const ROW_NAMES = ["fanout", "calm", "channels", "history", "storm", "lobby"] as const;
export type RowName = (typeof ROW_NAMES)[number];

const PER = 100; // subscribers of one of many channels
const EACH = 10; // channels of one of their subscribers
const SPARE = 100; // connections besides the subscribers'

/** The rows at a scale (1: as they are meant to be), no larger than the number of open files allows. */
export function rowsAt(scale: number): Readonly<Record<RowName, Row>> {
  const most = connectionLimit().connections - SPARE;
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
      load: { mode: "stream", name: "feed", channels: 1, per: subscribers, every: 10 },
    },
    calm: {
      name: "calm",
      title: `${number(subscribers)} subscribers of one channel, 64 B every 200 ms`,
      peers: PEERS,
      load: { mode: "stream", name: "feed", channels: 1, per: subscribers, every: 200 },
    },
    channels: {
      name: "channels",
      title: `${number(groups * EACH)} channels x ${PER} subscribers, 64 B, 100 publications on their way`,
      peers: ["tungstate", "socketio"],
      load: { mode: "stream", name: "feed", channels: groups * EACH, per: PER, each: EACH, every: 0, depth: 100 },
    },
    history: {
      name: "history",
      title: `${number(missed)} publications of 64 B into history, and out by one recovery`,
      peers: ["tungstate", "socketio"],
      history: missed + 10,
      load: { mode: "return", name: "room", channels: 1, per: 1, missed },
    },
    storm: {
      name: "storm",
      title: `${number(rooms * PER)} sessions in ${rooms} channels are cut off, miss 20 publications and come back at once`,
      peers: ["tungstate", "socketio"],
      history: 1000,
      load: storm,
    },
    lobby: {
      name: "lobby",
      title: "the same with presence, and joins and leaves told to all",
      peers: ["tungstate"],
      history: 1000,
      load: { ...storm, name: "lobby" },
    },
  };
}

function number(value: number): string {
  return value.toLocaleString("en");
}
