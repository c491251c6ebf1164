// Sends each line of the terminal, and prints each message that arrives.
import process from "node:process";
import { createInterface } from "node:readline";
import { reconnecting } from "tungstate";

const url = process.argv[2] ?? "ws://127.0.0.1:8080";
const connection = reconnecting(url);
connection.on("open", () => console.error(`connected to ${url}`));
connection.on("waiting", ({ delay }) => console.error(`not connected, next attempt in ${Math.ceil(delay / 1000)} s`));
connection.on("message", (message) => console.log(message.text));

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => connection.write(line));
lines.on("close", () => void connection.close());
