import process from "node:process";
import { CreateError } from "./errors.ts";
import { run } from "./run.ts";

try {
  await run({
    args: process.argv.slice(2),
    input: process.stdin,
    output: process.stdout,
    env: process.env,
  });
} catch (error) {
  if (!(error instanceof CreateError)) throw error;
  process.stderr.write(`create-tungstate: ${error.message}\n`);
  process.exitCode = error.status;
}
