import { type Interfaces, readInterfaces } from "../native/network-interfaces.ts";
import type { Clock } from "../schedule/clock.ts";
import { PerClock } from "../schedule/per-clock.ts";
import { scopeOf } from "../transport/ip.ts";

interface Look {
  /** Undefined where they cannot be read: no change is seen then. */
  readonly interfaces: Interfaces | undefined;
  readonly text: string;
  /** ms on the clock */
  readonly at: number;
}

const POLL_INTERVAL = 1_000; // ms; a look takes some 100 us

/**
 * Reports new addresses of this machine: a cable, a mobile network, another Wi-Fi. Node has no
 * event for that, so the addresses are polled, once for all watchers, and not at all while there
 * are none.
 */
export class Networks {
  private readonly clock: Clock;
  private readonly read: () => Interfaces | undefined;
  private readonly watchers = new Set<(interfaces: Interfaces | undefined) => void>();
  private known: Look | undefined;
  /** What the watchers were last notified of. */
  private notified = "";
  private cancel: (() => void) | undefined;

  constructor(clock: Clock, read: () => Interfaces | undefined = readInterfaces) {
    this.clock = clock;
    this.read = read;
  }

  /** Whether every address of this machine is known to be a loopback address. */
  get offline(): boolean {
    const { interfaces } = this.look();
    if (interfaces === undefined) return false;
    return !Object.values(interfaces).some((infos) => infos?.some(({ internal }) => !internal) === true);
  }

  /**
   * Calls `onGain` when there is a new address: on one of the named interfaces, or on any that is
   * not link-local if none is named. Returns a function that ends it.
   */
  watch(names: readonly string[], onGain: () => void): () => void {
    let before = addressesOf(this.look().interfaces, names);
    const watcher = (interfaces: Interfaces | undefined): void => {
      const now = addressesOf(interfaces, names);
      const gained = [...now].some((address) => !before.has(address));
      before = now;
      if (gained) onGain();
    };
    if (this.watchers.size === 0) this.notified = this.look().text;
    this.watchers.add(watcher);
    this.cancel ??= this.clock.after(POLL_INTERVAL, this.poll);
    return () => {
      this.watchers.delete(watcher);
      if (this.watchers.size > 0) return;
      // an unneeded timer would keep the process alive
      this.cancel?.();
      this.cancel = undefined;
    };
  }

  private readonly poll = (): void => {
    this.cancel = this.clock.after(POLL_INTERVAL, this.poll);
    const { interfaces, text } = this.refresh();
    if (text === this.notified) return;
    this.notified = text;
    for (const watcher of [...this.watchers]) watcher(interfaces);
  };

  /**
   * Returns the current addresses, or those of a moment ago: many callers may ask at the same time.
   */
  private look(): Look {
    const { known } = this;
    return known !== undefined && this.clock.now() - known.at < POLL_INTERVAL ? known : this.refresh();
  }

  private refresh(): Look {
    const interfaces = this.read();
    return (this.known = { interfaces, text: JSON.stringify(interfaces) ?? "", at: this.clock.now() });
  }
}

/** Containers come and go with link-local addresses: these count only on a named interface. */
function addressesOf(interfaces: Interfaces | undefined, names: readonly string[]): ReadonlySet<string> {
  const all = new Set<string>();
  for (const [name, infos = []] of Object.entries(interfaces ?? {})) {
    for (const { address, internal } of infos) {
      const counts = names.length > 0 ? names.includes(name) : !internal && scopeOf(address) !== "link-local";
      if (counts) all.add(`${name} ${address}`);
    }
  }
  return all;
}

/** The network interfaces of this machine, read again at most at the pace of a clock. */
const perClock = new PerClock((clock) => new Networks(clock));

/** Returns the Networks of a clock. */
export function networksOf(clock: Clock): Networks {
  return perClock.of(clock);
}
