"use strict";

// `require` returns the class itself, as with ws, and `import` has the same class.
module.exports = load().WebSocket;

function load() {
  try {
    return require("./dist/index.js");
  } catch (error) {
    // loaders that cannot `require` an ES module, such as Jest's, get the same sources as CommonJS
    if (error.name !== "SyntaxError" && error.code !== "ERR_REQUIRE_ESM") throw error;
    return require("./dist/commonjs.cjs");
  }
}
