/** For tests of private APIs: a reason to skip them in a run without these, by `npm run test:portable`. */
export const skipPortable: string | false =
  process.env["TUNGSTATE_TEST_PORTABLE"] === "1" && "this run is without private APIs of Node.js";
