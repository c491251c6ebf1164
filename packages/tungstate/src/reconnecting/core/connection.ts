import type { WebSocketError } from "@tungstate/protocol";
import type { CloseInfo, ConnectionState, ConnectionStats, WriteOptions } from "../../connection/types.ts";
import type { RetryDecision } from "./close-decision.ts";
import type { Attempt } from "./types.ts";

/** What the core reads from a connection. `M` is the platform's type of messages. */
export interface ReadableConnection<M> extends AsyncIterable<M> {
  batches(): AsyncIterable<readonly M[]>;
  pause(): void;
  resume(): void;
  on(event: "message", listener: (message: M) => unknown): unknown;
  terminate(): void;
}

/** What the core writes to a connection. `D` is the platform's type of data. */
export interface WritableConnection<D> {
  readonly state: ConnectionState;
  readonly bufferedAmount: number;
  write(data: D, options?: WriteOptions): boolean;
  flush(): Promise<void>;
  close(code: number, reason: string): Promise<CloseInfo>;
  on(event: "drain", listener: () => unknown): unknown;
}

/** What the core needs of the connections that it joins. */
export interface JoinableConnection<M, D> extends ReadableConnection<M>, WritableConnection<D> {
  readonly closed: Promise<CloseInfo>;
  readonly stats: ConnectionStats;
  on(event: "message", listener: (message: M) => unknown): unknown;
  on(event: "drain", listener: () => unknown): unknown;
}

/** Connects on one platform, and knows what its failures mean. `C` is the platform's connection. */
export interface Connecting<C> {
  /** Whether an attempt after refused credentials can have others. */
  readonly mayRefresh: boolean;
  /** Makes one attempt. Rejects with a WebSocketError, or with what a function of the application threw. */
  connect(attempt: Attempt): Promise<C>;
  /** Classifies a failed attempt. */
  classifyFailure(error: WebSocketError, mayRefresh: boolean): RetryDecision;
  /** Returns whether a failed attempt means that the credentials were refused. */
  refusesCredentials(error: WebSocketError): boolean;
  /** An open connection was lost by a failure of the network. */
  lost?(connection: C): void;
  /** The network, if its changes end a wait. */
  readonly network: Network | undefined;
}

/** The network of this machine. */
export interface Network {
  /** Whether there is none but loopback. */
  readonly offline: boolean;
  /** Calls `onGain` when another route may be there. Returns a function that ends it. */
  watch(onGain: () => void): () => void;
}
