import { WebSocketError } from "@tungstate/protocol";
import { combineFailures } from "../errors.ts";
import { linkedController } from "../schedule/abortable.ts";
import { type BindOptions, DEFAULT_ATTEMPT_DELAY_MS, interfaceNames, type InterfaceStrategy } from "./options.ts";
import { race } from "./race.ts";

/** One of the ways that the options leave: what `dial` is to be told. */
export interface RouteChoice {
  readonly interface: string | undefined;
}

export interface TakeOptions<T> {
  readonly signal?: AbortSignal | undefined;
  /** Ends what came about although another route had won. */
  readonly discard: (late: T) => void;
}

/**
 * The routes that `interface` names, and what is known of them: one that failed is tried last from then on, until the others
 * have failed too. Kept from one connection to the next, it is what reconnecting learns.
 */
export class Routes {
  private readonly strategy: InterfaceStrategy;
  private readonly attemptDelay: number;
  private order: readonly RouteChoice[];

  constructor(options: BindOptions & { readonly attemptDelay?: number | undefined }) {
    const names = [...new Set(interfaceNames(options))];
    this.order = names.length === 0 ? [{ interface: undefined }] : names.map((name) => ({ interface: name }));
    this.strategy = options.interfaceStrategy ?? "ordered";
    this.attemptDelay = options.attemptDelay ?? DEFAULT_ATTEMPT_DELAY_MS;
  }

  /** In the order in which they are tried next. */
  get list(): readonly RouteChoice[] {
    return this.order;
  }

  /** Says that a route does not work (any more): it goes to the end. */
  failed(name: string | undefined): void {
    const route = this.order.find((choice) => choice.interface === name);
    if (route !== undefined) this.order = [...this.order.filter((choice) => choice !== route), route];
  }

  /**
   * Runs `attempt` over the routes, one after the other or raced, until one comes to its end: the connection to be, complete
   * with its handshakes, so that a route which only connects does not win. The signals of the others are aborted, upon which
   * `attempt` has to reject. When all fail, the error is the one that got furthest.
   */
  async take<T>(attempt: (route: RouteChoice, signal: AbortSignal) => Promise<T>, options: TakeOptions<T>): Promise<T> {
    const { signal, unlink } = linkedController(options.signal);
    try {
      const result = await race<RouteChoice, T, WebSocketError>(
        this.order,
        async (route, routeSignal) => await attempt(route, routeSignal),
        (error, route) => {
          // Anything else is a mistake in a program, which another route would only hide.
          if (!(error instanceof WebSocketError) || error.code === "INVALID_ARGUMENT") throw error;
          this.failed(route.interface);
          return error;
        },
        { stagger: this.strategy === "race" ? this.attemptDelay : Infinity, signal, discard: options.discard },
      );
      if (result.won) return result.value;
      throw combineFailures(result.failures, "routes");
    } finally {
      unlink();
    }
  }
}
