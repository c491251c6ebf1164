import type { Clock } from "../schedule/clock.ts";
import type { Control, NodeInfo } from "./control.ts";

/** Number of missed announcements after which a node counts as gone. */
const MISSED = 3;

export interface NodesContext {
  readonly clock: Clock;
  /** Interval between two announcements in ms. */
  readonly announceInterval: number;
  /** Returns the current information about this node. */
  self(): NodeInfo;
  /** Sends a message to all others. */
  tell(control: Control): Promise<void>;
}

interface Known {
  readonly node: NodeInfo;
  readonly seenAt: number;
}

/**
 * The nodes of the hub, by their announcements: each node announces itself at intervals, when it
 * starts, and when it ends.
 */
export class Nodes {
  private readonly context: NodesContext;
  private readonly known = new Map<string, Known>();

  constructor(context: NodesContext) {
    this.context = context;
  }

  /** Returns this node, followed by all others with a recent announcement. */
  list(): NodeInfo[] {
    this.forget();
    return [this.context.self(), ...Array.from(this.known.values(), ({ node }) => node)];
  }

  /** `asks`: all others announce themselves too. */
  announce(asks: boolean): Promise<void> {
    this.forget();
    return this.context.tell({ type: "node", node: this.context.self(), asks });
  }

  leave(): Promise<void> {
    return this.context.tell({ type: "gone", id: this.context.self().id });
  }

  receive(control: Extract<Control, { type: "node" | "gone" }>): Promise<void> | undefined {
    if (control.type === "gone") {
      this.known.delete(control.id);
      return undefined;
    }
    this.known.set(control.node.id, { node: control.node, seenAt: this.context.clock.now() });
    return control.asks ? this.announce(false) : undefined;
  }

  /** Removes nodes without a recent announcement. */
  private forget(): void {
    const { clock, announceInterval } = this.context;
    const since = clock.now() - announceInterval * MISSED;
    for (const [id, { seenAt }] of this.known) if (seenAt < since) this.known.delete(id);
  }
}
