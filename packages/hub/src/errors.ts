/**
 * Errors of the hub and its stores, except for wrong arguments (INVALID_ARGUMENT, as in tungstate)
 * and errors for clients (CommandError, Disconnect).
 */
export const HUB_ERRORS = {
  INVALID_STATE: "the call is not possible in this state",
  PACKAGE_MISSING: "an optional package is not installed",
  STORE_UNUSABLE: "a store cannot be used: its version, its kind or its configuration is wrong",
  STORE_UNAVAILABLE: "a store is not available at the moment",
  STORE_REFUSED: "a store refused a command, or its reply is not valid",
  QUOTA_EXCEEDED: "a store has reached a quota and did nothing",
  KEYS_UNAVAILABLE: "the keys that verify tokens cannot be fetched",
  INVALID_TOKEN: "a token was refused",
} as const satisfies Record<string, string>;

/** A name of HUB_ERRORS. */
export type HubErrorCode = keyof typeof HUB_ERRORS;

/** An error of the hub or of a store. `code` is a name of HUB_ERRORS. */
export class HubError extends Error {
  /** The name of the class. */
  override readonly name: string = "HubError";
  /** The name of the error in HUB_ERRORS. */
  readonly code: HubErrorCode;

  constructor(code: HubErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
