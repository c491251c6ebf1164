// Puts test files together into processes: to start a process, to load the packages and to compile
// them takes 0.3 s of CPU time, which is more than most files take.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** Test files per process, at most. */
const MOST_FILES = 12;

const root = fileURLToPath(new URL("../..", import.meta.url));
const runner = new URL("./files.mjs", import.meta.url).href;

/** The workspace of a file: `packages/hub`, `bench`. */
function workspaceOf(path) {
  return /^(?:packages|apps)\/[^/]+|^[^/]+/.exec(path)[0];
}

/**
 * Divides test files (sorted paths from the root) into lists, one for each process. The files of a
 * list are of one workspace; a file for which `alone` is true has a list of its own. There are at
 * least `least` lists where there are as many files.
 */
export function divide(paths, { alone, least }) {
  const most = Math.min(MOST_FILES, Math.ceil(paths.length / least));
  const lists = [];
  const open = new Map(); // workspace: its list that takes more files
  for (const path of paths) {
    const workspace = workspaceOf(path);
    const last = open.get(workspace);
    if (alone(path)) lists.push([path]);
    else if (last !== undefined && last.length < most) last.push(path);
    else {
      const list = [path];
      lists.push(list);
      open.set(workspace, list);
    }
  }
  return lists;
}

/**
 * Writes a program for each list of test files (from the root) that runs them into this folder.
 * Returns the programs' paths.
 */
export function writePrograms(lists, folder) {
  return lists.map((paths, index) => {
    const program = join(
      folder,
      `${String(index + 1).padStart(2, "0")}-${workspaceOf(paths[0]).replace("/", "-")}.mjs`,
    );
    const named = Object.fromEntries(paths.map((path) => [path, pathToFileURL(join(root, path)).href]));
    writeFileSync(
      program,
      `import { runFiles } from ${JSON.stringify(runner)};\nrunFiles(${JSON.stringify(named)});\n`,
    );
    return program;
  });
}
