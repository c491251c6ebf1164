import { scenario } from "./scenario.ts";

/** The script of the test page: runs the scenario and sends its log to the server. */
async function run(): Promise<void> {
  let log: readonly string[];
  try {
    log = await scenario("/");
  } catch (error) {
    log = [`failed: ${String(error)}`];
  }
  await fetch("/log", { method: "POST", body: JSON.stringify(log) });
}

void run();
