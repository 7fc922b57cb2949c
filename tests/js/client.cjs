// Drives one real Socket.IO client for a test: settings as JSON in the first argument, commands as JSON lines on
// standard input, and everything that happens as JSON lines on standard output.
"use strict";

const { createRequire } = require("node:module");
const readline = require("node:readline");

const settings = JSON.parse(process.argv[2]);
const load = createRequire(`${settings.modules}/`);
const { io } = load(settings.package);

const tell = (what, ...values) => process.stdout.write(`${JSON.stringify([what, ...values])}\n`);

const socket = io(settings.url, {
  withCredentials: true,
  transports: settings.transports,
  extraHeaders: settings.headers,
  auth: settings.auth,
  reconnectionDelay: 50,
  reconnectionDelayMax: 200,
  forceNew: true,
});

// As the frontend's chat box does: buffered until there is a connection, and not repeated after a reconnect.
if (settings.room) socket.emit("joinRoom", { roomId: settings.room });

socket.on("connect", () => tell("connect", socket.id));
socket.on("disconnect", (reason) => tell("disconnect", reason));
socket.on("connect_error", (error) => tell("connect_error", error.message, error.description ?? null));
socket.onAny((event, ...values) => tell("event", event, ...values));

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const [command, ...values] = JSON.parse(line);
  if (command === "emit") socket.emit(...values, (answer) => tell("acknowledged", values[0], answer));
  if (command === "transport") tell("transport", socket.io.engine.transport.name);
  if (command === "close") {
    socket.disconnect();
    process.exit(0);
  }
});
