import { createReadStream, fstatSync } from "node:fs";
import type { Socket } from "node:net";

/** The TCP sockets of the network namespace of this process, as Linux lists them: proc(5). */
const FILES = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
/**
 * A row whose timer is active for a retransmission (01) or a window probe (04): the timer,
 * retransmissions in hexadecimal, the user, window probes without an answer, the inode.
 */
const ROW = /^ *\d+: [\dA-F]+:\w+ [\dA-F]+:\w+ \w+ \w+:\w+ (01|04):\w+ (\w+) +\d+ +(\d+) (\d+) /gm;
const MIN_PAUSE = 1_000; // ms between two reads
const MAX_SHARE = 0.05; // of the time is spent on reading, because a machine may have many sockets

/**
 * The number of unanswered retransmissions and window probes of each TCP socket, as Linux counts
 * them. Node.js has no API for it. TCP keep-alive has no effect while a packet is in transit.
 */
class TcpTable {
  private rows: Promise<ReadonlyMap<number, number>> | undefined;
  private validUntil = 0;

  /**
   * Returns the number of unanswered retransmissions or window probes of the socket with this
   * inode. Undefined if it cannot be read. The number may be a second old, or older on a machine
   * with many sockets.
   */
  async unanswered(inode: number): Promise<number | undefined> {
    if (this.rows === undefined || performance.now() >= this.validUntil) {
      this.validUntil = Infinity;
      this.rows = this.read();
    }
    try {
      return (await this.rows).get(inode) ?? 0;
    } catch {
      return undefined; // there is no such file
    }
  }

  private async read(): Promise<ReadonlyMap<number, number>> {
    const start = performance.now();
    try {
      const rows = new Map<number, number>();
      for (const file of FILES) await readRows(file, rows);
      return rows;
    } finally {
      const end = performance.now();
      this.validUntil = end + Math.max(MIN_PAUSE, (end - start) / MAX_SHARE);
    }
  }
}

async function readRows(file: string, rows: Map<number, number>): Promise<void> {
  let text = "";
  for await (const chunk of createReadStream(file, "latin1")) {
    text += chunk;
    const complete = text.lastIndexOf("\n") + 1;
    for (const [, timer, retransmissions = "", probes, inode] of text.slice(0, complete).matchAll(ROW)) {
      rows.set(Number(inode), timer === "04" ? Number(probes) : Number.parseInt(retransmissions, 16));
    }
    text = text.slice(complete);
  }
}

/** The table of this process; undefined on other systems than Linux. */
const tcpTable = process.platform === "linux" ? new TcpTable() : undefined;

/**
 * Returns the inode of the socket of a Node.js handle, TLS handles included. Undefined if the
 * handle has no file descriptor.
 */
function inodeOf(handle: unknown): number | undefined {
  if (typeof handle !== "object" || handle === null) return undefined;
  const fd: unknown = Reflect.get(handle, "fd");
  if (typeof fd !== "number" || fd < 0) return undefined;
  try {
    return fstatSync(fd).ino;
  } catch {
    return undefined;
  }
}

/** As `TcpTable.unanswered`, for a socket. */
export async function unansweredOfSocket(socket: Socket): Promise<number | undefined> {
  return await unansweredOf(Reflect.get(socket, "_handle"));
}

/** As `TcpTable.unanswered`, for a handle of Node.js. */
export async function unansweredOf(handle: unknown): Promise<number | undefined> {
  const inode = tcpTable === undefined ? undefined : inodeOf(handle);
  return inode === undefined ? undefined : await tcpTable?.unanswered(inode);
}
