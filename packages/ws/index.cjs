"use strict";

// `require` returns the class itself, as with ws, and `import` has the same class.
module.exports = require("./dist/index.js").WebSocket;
