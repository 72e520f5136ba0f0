// Walks the whole way of an OAuth client with the TypeScript SDKs: from a refusal to a call, and to more
// scopes.
//
// oauth_client.mjs sdk|client MCP_URL
// The packages come from TEST_CLIENTS_DIR; the server has the base of tests/fixtures/shop.json and lets
// records be written.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const load = createRequire(process.env.TEST_CLIENTS_DIR + "/");
const [which, url] = process.argv.slice(2);
const callback = "http://127.0.0.1:1/callback";

const { Client, StreamableHTTPClientTransport, UnauthorizedError } =
  which === "sdk"
    ? {
        ...load("@modelcontextprotocol/sdk/client/index.js"),
        ...load("@modelcontextprotocol/sdk/client/streamableHttp.js"),
        ...load("@modelcontextprotocol/sdk/client/auth.js"),
      }
    : load("@modelcontextprotocol/client");

/** A person's browser: follows where it is sent until it comes back; what it brings. */
async function open(address) {
  const jar = new Map();
  for (let steps = 0; !address.startsWith(callback); steps += 1) {
    assert.ok(steps < 10, `it leads round and round: ${address}`);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await fetch(address, { redirect: "manual", headers: { cookie } });
    assert.ok(answer.status >= 300 && answer.status < 400, `${address}: ${answer.status} ${await answer.text()}`);
    for (const line of answer.headers.getSetCookie()) {
      const [name, value] = line.split(";")[0].split("=");
      if (value) jar.set(name, value);
      else jar.delete(name);
    }
    address = new URL(answer.headers.get("location"), address).href;
  }
  return new URL(address).searchParams;
}

/** Keeps what the SDK wants kept. */
const provider = {
  redirectUrl: callback,
  clientMetadata: {
    client_name: "walker",
    redirect_uris: [callback],
    token_endpoint_auth_method: "none",
    grant_types: ["authorization_code", "refresh_token"],
  },
  clientInformation: () => provider.client,
  saveClientInformation: (client) => void (provider.client = client),
  tokens: () => provider.kept,
  saveTokens: (tokens) => void (provider.kept = tokens),
  codeVerifier: () => provider.verifier,
  saveCodeVerifier: (verifier) => void (provider.verifier = verifier),
  discoveryState: () => provider.discovered,
  saveDiscoveryState: (state) => void (provider.discovered = state),
  redirectToAuthorization: async (address) => {
    provider.issuer = address.origin;
    provider.cameBack = await open(address.href);
  },
};

const told = async () => (await fetch(new URL("/told", provider.issuer))).json();
const granted = async () => (await told()).filter((t) => t.granted).map((t) => t.granted);

const client = new Client({ name: "walker", version: "1" });
let transport;
const connect = () => {
  transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
  return client.connect(transport);
};

/** Does something; when that sends the person away, once more when they are back. */
async function asking(action) {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await transport.finishAuth(which === "sdk" ? provider.cameBack.get("code") : provider.cameBack);
    return action();
  }
}

await asking(connect);
const { tools } = await client.listTools();
const names = tools.map((tool) => tool.name);
assert.ok(names.includes("list_records") && !names.includes("create_records"), names.join());
const list = () => client.callTool({ name: "list_records", arguments: { base: "Shop", table: "Goods" } });
assert.match((await list()).content[0].text, /Lamp/);

provider.kept = { ...provider.kept, access_token: "spent" };
assert.match((await list()).content[0].text, /Lamp/);
assert.deepEqual(await granted(), ["authorization_code", "refresh_token"]);

// The older package would only refresh, which gives no more scopes.
if (which === "sdk") delete provider.kept.refresh_token;
const records = [{ Name: "Chair" }];
const create = () => client.callTool({ name: "create_records", arguments: { base: "Shop", table: "Goods", records } });
const made = await asking(create);
assert.ok(!made.isError, JSON.stringify(made));
assert.deepEqual(provider.kept.scope.split(" ").sort(), ["data.records:read", "data.records:write", "schema.bases:read"]);
assert.equal((await told()).filter((t) => t.registered).length, 1);
await client.close();
console.log("walked the whole way");
