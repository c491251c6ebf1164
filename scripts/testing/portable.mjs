// Makes the private APIs of Node.js that `tungstate` uses unavailable, in the process that imports
// this file and in its children: for scripts/test-portable.mjs.
import process from "node:process";
import zlib from "node:zlib";

process.binding = () => {
  throw new Error("this run tests without private APIs");
};
for (const stream of [new zlib.DeflateRaw(), new zlib.InflateRaw()]) {
  const prototype = Object.getPrototypeOf(stream._handle);
  const { writeSync } = prototype;
  prototype.writeSync = function (...args) {
    if (new Error("called by").stack.includes("pooled-zlib")) throw new Error("this run tests without private APIs");
    return Reflect.apply(writeSync, this, args);
  };
  stream.close();
}
