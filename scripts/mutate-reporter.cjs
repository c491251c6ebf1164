// Reporter of node:test for mutation testing. It only reports that a mutant was detected:
// formatting differences of large arrays would take a minute.
"use strict";
const { writeSync } = require("node:fs");

module.exports = async function* report(events) {
  let count = 0;
  yield "TAP version 13\n";
  for await (const { type, data } of events) {
    if (type === "test:fail") {
      count++;
      writeSync(process.stdout.fd, `not ok ${count} - a test\n1..${count}\n`);
      process.exit(1);
    }
    if (type === "test:pass" && data.nesting === 0) yield `ok ${++count} - a test\n`;
  }
  yield `1..${count}\n`;
};
