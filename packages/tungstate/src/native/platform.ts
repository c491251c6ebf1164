import { Socket } from "node:net";
import { totalmem } from "node:os";
import process from "node:process";
import { TLSSocket } from "node:tls";
import { getHeapStatistics } from "node:v8";

/** A runtime with Node's modules. */
export interface Platform {
  /** The name, as in error messages. */
  readonly name: "Node.js" | "Bun" | "Deno" | "workerd";
  /** The version; empty if the runtime has none. */
  readonly version: string;
}

function detect(): Platform {
  // Bun, Deno and workerd have a `node` version as well
  const { bun, deno, node } = process.versions as Readonly<Record<string, string | undefined>>;
  if (bun !== undefined) return { name: "Bun", version: bun };
  if (deno !== undefined) return { name: "Deno", version: deno };
  const { navigator } = globalThis as { navigator?: { readonly userAgent?: string } };
  if (navigator?.userAgent === "Cloudflare-Workers") return { name: "workerd", version: "" };
  return { name: "Node.js", version: node ?? "" };
}

/** The runtime of this process. */
export const platform: Platform = detect();

/** Whether this is Node.js. Other runtimes have its modules, but not its private APIs. */
export const isNode = platform.name === "Node.js";

/** Assumed memory in bytes if no limit can be read: the limit of a Cloudflare Worker. */
const UNKNOWN_MEMORY = 128 * 1024 * 1024;

/** Sources of limits. Each may fail: in Deno, most need the permission `--allow-sys`. */
const LIMITS: readonly (() => number | undefined)[] = [
  () => (mayReadMemory() ? totalmem() : undefined),
  () => (mayReadMemory() ? process.constrainedMemory?.() : undefined),
  // JavaScriptCore has no limit: Bun reports the current size of the heap
  () => (platform.name === "Bun" ? undefined : getHeapStatistics().heap_size_limit),
];

function mayReadMemory(): boolean {
  return isPermitted({ name: "sys", kind: "systemMemoryInfo" });
}

/** A permission of Deno, as `Deno.permissions.querySync` takes it. */
interface Permission {
  readonly name: "sys" | "read";
  readonly kind?: string;
  readonly path?: string;
}

/**
 * Whether Deno grants a permission; true in other runtimes. Without this check, Deno would prompt
 * the user.
 */
export function isPermitted(permission: Permission): boolean {
  if (platform.name !== "Deno") return true;
  const { Deno } = globalThis as { Deno?: { permissions: { querySync(wanted: Permission): { state: string } } } };
  return Deno?.permissions.querySync(permission).state === "granted";
}

/**
 * Returns how many bytes this process may use: the memory of the machine, or less if the process
 * has a container limit or a smaller V8 heap (`--max-old-space-size`). Limits that cannot be read
 * are ignored; 128 MiB if none can. Never throws.
 */
export function availableMemory(limits = LIMITS): number {
  const known = limits
    .map((limit) => {
      try {
        return limit();
      } catch {
        return undefined;
      }
    })
    .filter((bytes): bytes is number => bytes !== undefined && bytes > 0);
  return known.length === 0 ? UNKNOWN_MEMORY : Math.min(...known);
}

/**
 * Whether a connection of an HTTP server can be read before the server reads it. In Bun, a
 * listening HTTP server parses requests natively. Its sockets have another class, and carry only
 * the bytes after an upgrade.
 */
export function readsAhead(socket: Socket): boolean {
  if (platform.name !== "Bun") return true;
  const prototype: unknown = Object.getPrototypeOf(socket);
  return prototype === Socket.prototype || prototype === TLSSocket.prototype;
}
