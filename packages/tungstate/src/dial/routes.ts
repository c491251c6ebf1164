import { WebSocketError } from "@tungstate/protocol";
import { combineFailures } from "../errors.ts";
import { linkedController } from "../schedule/linked-controller.ts";
import { type BindOptions, DEFAULT_ATTEMPT_DELAY_MS, interfaceNames, type InterfaceStrategy } from "./options.ts";
import { race } from "./race.ts";

/** One route that the options allow: the interface for `dial`. */
export interface RouteChoice {
  readonly interface: string | undefined;
}

export interface TakeOptions<T> {
  readonly signal?: AbortSignal | undefined;
  /** Disposes of the result of a route that succeeds after another one has won. */
  readonly discard: (late: T) => void;
}

/**
 * The routes that `interface` allows, with what is known about them: a route that failed is tried
 * last until the others have failed too. `reconnecting` keeps one object for all its connections.
 */
export class Routes {
  readonly #strategy: InterfaceStrategy;
  readonly #attemptDelay: number;
  #order: readonly RouteChoice[];

  constructor(options: BindOptions & { readonly attemptDelay?: number | undefined }) {
    const names = [...new Set(interfaceNames(options))];
    this.#order = names.length === 0 ? [{ interface: undefined }] : names.map((name) => ({ interface: name }));
    this.#strategy = options.interfaceStrategy ?? "ordered";
    this.#attemptDelay = options.attemptDelay ?? DEFAULT_ATTEMPT_DELAY_MS;
  }

  /** The routes in the order in which they are tried next. */
  get list(): readonly RouteChoice[] {
    return this.#order;
  }

  /** Marks a route as failed: it moves to the end. */
  failed(name: string | undefined): void {
    const route = this.#order.find((choice) => choice.interface === name);
    if (route !== undefined) this.#order = [...this.#order.filter((choice) => choice !== route), route];
  }

  /**
   * Runs `attempt` over the routes, in order or raced, until one has completed all its handshakes;
   * a route that only connects does not win. The signals of the others are aborted, and `attempt`
   * must reject then. If all fail, rejects with the error of the one that got furthest.
   */
  async take<T>(attempt: (route: RouteChoice, signal: AbortSignal) => Promise<T>, options: TakeOptions<T>): Promise<T> {
    const { signal, unlink } = linkedController(options.signal);
    try {
      const result = await race<RouteChoice, T, WebSocketError>(
        this.#order,
        async (route, routeSignal) => await attempt(route, routeSignal),
        (error, route) => {
          // any other error is a programming error, which another route would only hide
          if (!(error instanceof WebSocketError)) throw error;
          this.failed(route.interface);
          return error;
        },
        { stagger: this.#strategy === "race" ? this.#attemptDelay : Infinity, signal, discard: options.discard },
      );
      if (result.won) return result.value;
      throw combineFailures(result.failures, "routes");
    } finally {
      unlink();
    }
  }
}
