import { isNode, platform } from "../../src/native/platform.ts";

function reason(): string | false {
  if (process.env["TUNGSTATE_TEST_PORTABLE"] === "1") return "this run is without private APIs of Node.js";
  return !isNode && `${platform.name} has no private APIs of Node.js`;
}

/**
 * For tests of private APIs: a reason to skip them in a run without these, by `npm run
 * test:portable`, or on another runtime.
 */
export const skipPortable: string | false = reason();
