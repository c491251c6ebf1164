// npm run picture: draws docs/layers.svg, the packages and their layers with the imports between
// them, from the source files.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { commandLine } from "../command-line.mjs";
import { root } from "../workspaces.mjs";
import { LAYERS, readSource } from "./imports.mjs";

export const PICTURE = "docs/layers.svg";

/** The packages from the top of the picture to its bottom. */
const PACKAGES = [
  { name: "@tungstate/cli", source: "packages/cli/src" },
  { name: "@tungstate/hub", source: "packages/hub/src" },
  { name: "@tungstate/ws", source: "packages/ws/src" },
  { name: "tungstate", source: "packages/tungstate/src" },
  { name: "@tungstate/protocol", source: "packages/protocol/src" },
];

const WIDTH = 1000;
const BOX = { width: 124, height: 32, gap: 26 };
const ROW = 56;
const HEADING = 40;
const PACKAGE_GAP = 26;

/** Entry files, which import from everywhere and say nothing. */
const ENTRIES = new Set(["index.ts", "main.ts", "internal.ts"]);

/** Which layers import which. */
function layersOf(source) {
  const { graph } = readSource(source);
  const layerOf = (file) => file.slice(source.length + 1).split("/")[0];
  const layers = LAYERS[source].filter((layer) => !ENTRIES.has(layer));
  const imports = new Map(layers.map((layer) => [layer, new Set()]));
  for (const [file, targets] of graph) {
    const from = layerOf(file);
    if (ENTRIES.has(from)) continue;
    for (const target of targets) if (layerOf(target) !== from) imports.get(from).add(layerOf(target));
  }
  return imports;
}

/** Without the imports that a longer way over other layers implies. */
function reduced(imports) {
  const reach = new Map();
  const reachable = (layer) => {
    if (!reach.has(layer)) {
      const below = new Set();
      for (const target of imports.get(layer)) for (const each of [target, ...reachable(target)]) below.add(each);
      reach.set(layer, below);
    }
    return reach.get(layer);
  };
  return new Map(
    [...imports].map(([layer, targets]) => [
      layer,
      [...targets].filter((target) => ![...targets].some((other) => other !== target && reachable(other).has(target))),
    ]),
  );
}

/** The row of each layer, 0 at the top: above all layers that it imports. */
function rowsOf(imports) {
  const heights = new Map();
  const height = (layer) => {
    if (!heights.has(layer))
      heights.set(layer, Math.max(0, ...[...imports.get(layer)].map((each) => height(each) + 1)));
    return heights.get(layer);
  };
  for (const layer of imports.keys()) height(layer);
  const top = Math.max(...heights.values());
  const rows = Array.from({ length: top + 1 }, () => []);
  for (const [layer, each] of heights) rows[top - each].push(layer);
  return rows;
}

const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

function drawPackage({ name, source }, y) {
  const imports = layersOf(source);
  const rows = rowsOf(imports);
  const places = new Map();
  rows.forEach((row, index) => {
    const width = row.length * BOX.width + (row.length - 1) * BOX.gap;
    row.forEach((layer, column) => {
      const x = (WIDTH - width) / 2 + column * (BOX.width + BOX.gap);
      places.set(layer, { x, y: y + HEADING + index * ROW, row: index });
    });
  });
  const height = HEADING + (rows.length - 1) * ROW + BOX.height + 18;
  const lines = [];
  for (const [layer, targets] of reduced(imports)) {
    for (const target of targets) {
      const from = places.get(layer);
      const to = places.get(target);
      const [x1, y1, x2, y2] = [from.x + BOX.width / 2, from.y + BOX.height, to.x + BOX.width / 2, to.y];
      const bend = (y2 - y1) / 2;
      lines.push(`<path class="import" d="M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2 - 3}"/>`);
    }
  }
  const boxes = [...places].map(([layer, { x, y: top }]) => {
    const label = `<text class="name" x="${x + BOX.width / 2}" y="${top + BOX.height / 2 + 5}">${escape(layer)}${layer.endsWith(".ts") ? "" : "/"}</text>`;
    return `<rect class="layer" x="${x}" y="${top}" width="${BOX.width}" height="${BOX.height}" rx="6"/>${label}`;
  });
  const frame = `<rect class="package" x="1" y="${y}" width="${WIDTH - 2}" height="${height}" rx="10"/><text class="title" x="18" y="${y + 28}">${escape(name)}</text>`;
  return { height, elements: [frame, ...lines, ...boxes] };
}

const STYLE = `
text { font-family: system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.name { font-size: 14px; text-anchor: middle }
.package { fill: #f6f8fa; stroke: #d1d9e0 }
.layer { fill: #ffffff; stroke: #818b98 }
.import { fill: none; stroke: #59636e; marker-end: url(#head) }
.head { fill: #59636e }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .package { fill: #151b23; stroke: #3d444d }
  .layer { fill: #0d1117; stroke: #656c76 }
  .import { stroke: #9198a1 }
  .head { fill: #9198a1 }
}`;

/** The picture as SVG. */
export function drawLayers() {
  let y = 1;
  const elements = [];
  PACKAGES.forEach((each, index) => {
    if (index > 0) {
      elements.push(`<path class="import" d="M${WIDTH / 2} ${y - PACKAGE_GAP}V${y - 3}"/>`);
    }
    const drawn = drawPackage(each, y);
    elements.push(...drawn.elements);
    y += drawn.height + PACKAGE_GAP;
  });
  const height = y - PACKAGE_GAP + 1;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Packages and their layers. Arrows are imports; they point down.">`,
    `<style>${STYLE}\n</style>`,
    '<defs><marker id="head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="head" d="M0 0L8 4L0 8z"/></marker></defs>',
    ...elements,
    "</svg>",
    "",
  ].join("\n");
}

/** What is wrong with the picture in the repository. */
export function checkPicture() {
  const isCurrent = readFileSync(join(root, PICTURE), "utf8") === drawLayers();
  return isCurrent ? [] : [`${PICTURE} does not show the imports as they are: npm run picture`];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  commandLine({ command: "npm run picture --", summary: `Draws ${PICTURE}, the packages and their layers.` });
  writeFileSync(join(root, PICTURE), drawLayers());
  console.log(`wrote ${PICTURE}`);
}
