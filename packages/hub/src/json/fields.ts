import { commandError } from "../codes.ts";
import { isObject, type JsonObject } from "./json.ts";

/** Returns JSON's name for the type of a value, for messages. */
function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
}

/**
 * The fields of an untrusted object, each checked when it is read. null counts as absent, as in
 * protobuf's JSON. Throws a CommandError (107) that says what was expected and what came. Fields
 * that are not read are ignored.
 */
export class Fields {
  private readonly object: JsonObject;
  private readonly what: string;

  /** `what` is the name of the object in messages. */
  constructor(value: unknown, what: string) {
    if (!isObject(value)) throw commandError("BAD_REQUEST", `${what} must be an object, got ${kindOf(value)}`);
    this.object = value;
    this.what = what;
  }

  /** Returns the value; undefined if it is absent or null. */
  raw(name: string): unknown {
    // `in` and plain access would find inherited properties
    return Object.hasOwn(this.object, name) ? (this.object[name] ?? undefined) : undefined;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.object, name);
  }

  string(name: string): string {
    const value = this.raw(name) ?? "";
    if (typeof value !== "string") throw this.unexpected(name, "a string", value);
    return value;
  }

  requiredString(name: string): string {
    const value = this.string(name);
    if (value === "") throw commandError("BAD_REQUEST", `${this.what}.${name} is missing`);
    return value;
  }

  boolean(name: string): boolean {
    const value = this.raw(name) ?? false;
    if (typeof value !== "boolean") throw this.unexpected(name, "a boolean", value);
    return value;
  }

  /** Returns an integer of at least `min` that a number represents exactly; 0 if it is absent. */
  integer(name: string, min = 0): number {
    const value = this.raw(name) ?? 0;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min) {
      throw this.unexpected(name, `an integer from ${min} to 2^53 - 1`, value);
    }
    return value;
  }

  fields(name: string): Fields | undefined {
    const value = this.raw(name);
    return value === undefined ? undefined : new Fields(value, `${this.what}.${name}`);
  }

  array(name: string): readonly unknown[] {
    const value: unknown = this.raw(name) ?? [];
    if (!Array.isArray(value)) throw this.unexpected(name, "an array", value);
    return value;
  }

  strings(name: string): readonly string[] {
    return this.array(name).map((value, index) => {
      if (typeof value !== "string") throw this.unexpected(`${name}[${index}]`, "a string", value);
      return value;
    });
  }

  /** Returns the entries of an object with string values; undefined if it is absent. */
  stringRecord(name: string): Readonly<Record<string, string>> | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (!isObject(value)) throw this.unexpected(name, "an object", value);
    if (!isStringRecord(value)) throw commandError("BAD_REQUEST", `${this.what}.${name} must contain only strings`);
    return value;
  }

  /** Throws if there is any other field, which would have no effect. */
  only(...names: readonly string[]): void {
    for (const name of Object.keys(this.object)) {
      if (names.includes(name) || this.raw(name) === undefined) continue;
      const known = names.length === 0 ? "it has none" : `it has ${[...names].sort().join(", ")}`;
      throw commandError("BAD_REQUEST", `${this.what} has no field ${JSON.stringify(name.slice(0, 40))}; ${known}`);
    }
  }

  keys(): readonly string[] {
    return Object.keys(this.object);
  }

  private unexpected(name: string, expected: string, value: unknown): Error {
    const got = typeof value === "number" ? String(value) : kindOf(value);
    return commandError("BAD_REQUEST", `${this.what}.${name} must be ${expected}, got ${got}`);
  }
}

function isStringRecord(value: JsonObject): value is Readonly<Record<string, string>> {
  return Object.values(value).every((each) => typeof each === "string");
}
