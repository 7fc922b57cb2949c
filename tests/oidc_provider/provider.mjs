// Starts oauth2-mock-server for tests/oidc_provider.rs and prints its issuer. Its one argument is JSON: where its packages
// are, and the claims that tokens get. Each line of input is more such claims, or "rotate". Its end ends the provider.
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { modules, claims } = JSON.parse(process.argv[2]);
const entry = join(modules, "node_modules/oauth2-mock-server/dist/index.mjs");
const { OAuth2Server } = await import(pathToFileURL(entry));

const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");
await server.start(0, "127.0.0.1");

const given = { ...claims };
// An ID token names its audience itself; an access token gets the API's.
server.service.on("beforeTokenSigning", (token) => Object.assign(token.payload, { aud: "freehunt", ...given }));
server.service.on("beforeUserinfo", (answer) => {
  answer.body = { ...given };
});

console.log(server.issuer.url);
const input = createInterface({ input: process.stdin });
input.on("line", async (line) => {
  if (line === "rotate") {
    // The newest key is used last, so the old one goes out of use by being asked for.
    await server.issuer.keys.generate("RS256");
    server.issuer.keys.get();
  } else {
    Object.assign(given, JSON.parse(line));
  }
  console.log("done");
});
await once(input, "close");
await server.stop();
process.exit(0);
