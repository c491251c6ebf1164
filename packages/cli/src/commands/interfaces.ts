import { listInterfaces, type NetworkInterface } from "tungstate";
import { escapeControls } from "../system/escape.ts";

/**
 * Runs `tungstate interfaces`: prints the network interfaces that `connect --interface` accepts.
 */
export function interfacesCommand(flags: { readonly json?: boolean }): void {
  const all = listInterfaces();
  process.stdout.write(flags.json === true ? `${JSON.stringify(all, undefined, 2)}\n` : table(all.flatMap(rows)));
}

/** Returns one row for each address: interface, address, properties. */
function rows({ name, up, internal, addresses }: NetworkInterface): string[][] {
  if (addresses.length === 0) return [[name, "-", up ? "no address" : "down or without an address"]];
  return addresses.map(({ address, prefixLength, scope, temporary, deprecated }, index) => [
    index === 0 ? name : "",
    `${address}/${prefixLength}`,
    [internal ? "this machine only" : scope, temporary ? "temporary" : "", deprecated ? "deprecated" : ""]
      .filter((part) => part !== "")
      .join(", "),
  ]);
}

function table(lines: readonly (readonly string[])[]): string {
  const all = [["NAME", "ADDRESS", "KIND"], ...lines].map((cells) => cells.map(escapeControls));
  const widths = [0, 1].map((column) => Math.max(...all.map((cells) => cells[column]?.length ?? 0)));
  return all
    .map(
      (cells) =>
        `${cells
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}
