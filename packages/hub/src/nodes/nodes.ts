import type { Clock } from "../schedule/clock.ts";
import type { Control, NodeInfo } from "./control.ts";

/** Announcements that may be missed before a node counts as gone. */
const MISSED = 3;

export interface NodesContext {
  readonly clock: Clock;
  /** ms between two announcements. */
  readonly announceInterval: number;
  /** This node as it is now. */
  self(): NodeInfo;
  /** Tells all others. */
  tell(control: Control): Promise<void>;
}

interface Known {
  readonly node: NodeInfo;
  readonly seenAt: number;
}

/** The nodes of the hub, by what they say of themselves: each tells all others again and again, when it comes, and when it goes. */
export class Nodes {
  private readonly context: NodesContext;
  private readonly known = new Map<string, Known>();

  constructor(context: NodesContext) {
    this.context = context;
  }

  /** This node first, then all others that have said something lately. */
  list(): NodeInfo[] {
    this.forget();
    return [this.context.self(), ...Array.from(this.known.values(), ({ node }) => node)];
  }

  /** `asks`: all others are to announce themselves, too. */
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

  /** Those that have said nothing for too long. */
  private forget(): void {
    const { clock, announceInterval } = this.context;
    const since = clock.now() - announceInterval * MISSED;
    for (const [id, { seenAt }] of this.known) if (seenAt < since) this.known.delete(id);
  }
}
