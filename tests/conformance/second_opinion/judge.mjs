// Judges requests with oauth4webapi's validateJwtAccessToken. Lines of JSON on standard input, a line for each on standard output:
// `accepts`, or what it says is wrong. The first argument is the path of the package, the second the time that it is.
import { createInterface } from "node:readline";

const [module, now] = process.argv.slice(2);
// The clock stands, so that the last request is judged at the time of the first.
Date.now = () => Number(now) * 1000;
const oauth = await import(module);

async function judge({ method, url, headers, issuer, keys, audience, algorithms }) {
  const fields = new Headers();
  for (const [name, value] of headers) fields.append(name, Buffer.from(value, "base64").toString("latin1"));
  const server = { issuer, jwks_uri: `${issuer}/jwks` };
  await oauth.validateJwtAccessToken(server, new Request(url, { method, headers: fields }), audience, {
    [oauth.clockTolerance]: 0,
    [oauth.customFetch]: async () => Response.json(keys),
    signingAlgorithms: algorithms,
  });
  return "accepts";
}

/** One sentence, without what is of one request. */
const told = (error) => `${error.name}: ${error.message}`.replace(/\s+/g, " ").replace(/append: ".*"/, "append: …").slice(0, 120);

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await judge(JSON.parse(line)).catch(told)));
}
