// A process that does nothing but give bytes back: how long that takes is the machine's doing.

import { createServer } from "node:net";
import process from "node:process";

const server = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => socket.destroy());
  socket.pipe(socket);
});
server.listen(0, "127.0.0.1", () => process.send?.(server.address()));
process.on("disconnect", () => process.exit());
