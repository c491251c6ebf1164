import { type ChildProcessByStdio, execFileSync, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { ClientCommand, ClientReply, Ports } from "./agent.ts";

/**
 * Two machines with two networks between them, out of Linux network namespaces and veth pairs:
 *
 *   client  eth1 10.77.1.1/24 fd77:1::1/64  ---  net1  10.77.1.2 fd77:1::2  server
 *           eth2 10.77.2.1/24 fd77:2::1/64  ---  net2  10.77.2.2 fd77:2::2
 *
 * The server's own addresses, 10.77.9.9 and fd77:9::9, are reached over either network; the client's routing table prefers
 * eth1. What leaves by an address of eth2 is sent by eth2 only while `routeBySource` is on, as on a well configured gateway.
 */
export class TwoNetworks {
  readonly hosts = { 4: "10.77.9.9", 6: "fd77:9::9" } as const;
  private readonly client = `tungstate-c-${process.pid}`;
  private readonly server = `tungstate-s-${process.pid}`;
  private readonly children: ChildProcessByStdio<Writable, Readable, null>[] = [];

  /** Why there can be no network namespaces here; undefined if there can. */
  static impossible(): string | undefined {
    if (process.platform !== "linux") return "network namespaces are a thing of Linux";
    const name = `tungstate-try-${process.pid}`;
    const tried = spawnSync("ip", ["netns", "add", name], { encoding: "utf8" });
    if (tried.error !== undefined) return "ip (Debian: iproute2) is not installed";
    if (tried.status !== 0) return `network namespaces are not permitted here: ${tried.stderr.trim()}`;
    spawnSync("ip", ["netns", "delete", name]);
    return undefined;
  }

  constructor() {
    for (const name of [this.client, this.server]) execIp("netns", "add", name);
    this.onServer("link", "set", "lo", "up");
    this.onServer("address", "add", `${this.hosts[4]}/32`, "dev", "lo");
    this.onServer("address", "add", `${this.hosts[6]}/128`, "dev", "lo", "nodad");
    this.onClient("link", "set", "lo", "up");
    for (const n of [1, 2]) {
      const [here, there] = [`eth${n}`, `net${n}`];
      execIp("link", "add", here, "netns", this.client, "type", "veth", "peer", "name", there, "netns", this.server);
      // Without addresses that the kernel makes up: a test says which there are.
      this.onClient("link", "set", here, "addrgenmode", "none");
      this.onServer("link", "set", there, "addrgenmode", "none", "up");
      this.onServer("address", "add", `10.77.${n}.2/24`, "dev", there);
      this.addressServer(n);
      this.linkUp(n);
    }
  }

  private addressServer(n: number): void {
    for (const address of [`fd77:${n}::2/64`, "fe80::2/64"]) {
      this.onServer("address", "replace", address, "dev", `net${n}`, "nodad");
    }
  }

  /** Up again, with the addresses and routes that a link loses when it goes down. */
  linkUp(n: number): void {
    const device = `eth${n}`;
    this.onClient("link", "set", device, "up");
    this.onClient("address", "replace", `10.77.${n}.1/24`, "dev", device);
    for (const address of [`fd77:${n}::1/64`, "fe80::1/64"]) {
      this.onClient("address", "replace", address, "dev", device, "nodad");
    }
    for (const [host, gateway] of this.ways(n)) {
      this.onClient("route", "replace", host, "via", gateway, "dev", device, "metric", `${n}00`);
    }
  }

  linkDown(n: number): void {
    this.onClient("link", "set", `eth${n}`, "down");
  }

  /** Takes away the carrier of a client's interface: its cable is pulled at the other end. */
  setCarrier(n: number, state: "up" | "down"): void {
    this.onServer("link", "set", `net${n}`, state);
    // a link that goes down loses its IPv6 addresses
    if (state === "up") this.addressServer(n);
  }

  /** Whether what is sent over this network is lost without a word: it is sent to a station that is not there. */
  blackHole(n: number, on: boolean): void {
    const entry = on ? ["lladdr", "02:00:00:00:00:01", "nud", "permanent"] : [];
    for (const [, gateway] of this.ways(n)) {
      this.onClient("neighbour", on ? "replace" : "delete", gateway, ...entry, "dev", `eth${n}`);
    }
  }

  /** Whether what has an address of eth2 as its source leaves by eth2. */
  routeBySource(on: boolean): void {
    for (const [host, gateway, source, family] of this.ways(2)) {
      this.onClient(family, "rule", on ? "add" : "delete", "from", source, "table", "102");
      if (on) this.onClient("route", "replace", host, "via", gateway, "dev", "eth2", "table", "102");
    }
  }

  onClient(...args: readonly string[]): string {
    return execIp("-n", this.client, ...args);
  }

  onServer(...args: readonly string[]): string {
    return execIp("-n", this.server, ...args);
  }

  /** Bytes that each of the client's interfaces has sent so far. */
  sentBytes(): Readonly<Record<"eth1" | "eth2", number>> {
    const sent = (device: string): number => {
      const [link] = JSON.parse(this.onClient("-s", "-j", "link", "show", device)) as [
        { stats64: { tx: { bytes: number } } },
      ];
      return link.stats64.tx.bytes;
    };
    return { eth1: sent("eth1"), eth2: sent("eth2") };
  }

  /** The client's TCP connections in this state, as ss lists them. */
  connections(state: string): string[] {
    const command = ["netns", "exec", this.client, "ss", "-Htn", "state", state];
    return execIp(...command)
      .split("\n")
      .filter((line) => line !== "");
  }

  /** Starts the server's process; gives the ports it listens on. */
  async startServer(key: string, cert: string): Promise<Ports> {
    const { ask } = this.start(this.server, "server", []);
    return await ask<Ports>({ key, cert });
  }

  /** Starts a process on the client's side, which dials as it is told. `without`: capabilities that it does not have. */
  startClient(without: readonly string[] = []): (command: ClientCommand) => Promise<ClientReply> {
    const wrapper =
      without.length === 0 ? [] : ["setpriv", `--bounding-set=${without.map((name) => `-${name}`).join(",")}`];
    const { ask } = this.start(this.client, "client", wrapper);
    return (command) => ask<ClientReply>(command);
  }

  remove(): void {
    for (const child of this.children) child.kill("SIGKILL");
    for (const name of [this.client, this.server]) spawnSync("ip", ["netns", "delete", name]);
  }

  /** For each of the server's hosts: the way over network `n`. */
  private ways(n: number): (readonly [host: string, gateway: string, source: string, family: "-4" | "-6"])[] {
    return [
      [this.hosts[4], `10.77.${n}.2`, `10.77.${n}.1`, "-4"],
      [this.hosts[6], `fd77:${n}::2`, `fd77:${n}::1`, "-6"],
    ];
  }

  private start(namespace: string, role: string, wrapper: readonly string[]) {
    const agent = fileURLToPath(new URL("agent.ts", import.meta.url));
    const command = ["netns", "exec", namespace, ...wrapper, process.execPath, ...process.execArgv, agent, role];
    const child = spawn("ip", command, { stdio: ["pipe", "pipe", "inherit"] });
    this.children.push(child);
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    // One question at a time, and its answer.
    const ask = async <T>(question: unknown): Promise<T> => {
      child.stdin.write(`${JSON.stringify(question)}\n`);
      const line = await lines.next();
      if (line.done === true) throw new Error(`the ${role} in ${namespace} has ended`);
      return JSON.parse(line.value) as T;
    };
    return { ask };
  }
}

function execIp(...args: readonly string[]): string {
  return execFileSync("ip", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}
