// Worker threads do not inherit the loader that runs TypeScript.
import "../../scripts/testing/typescript.mjs";

await import("./worker.ts");
