// Uses resources, prompts, completion, subscriptions, progress and cancellation with the TypeScript SDKs.
//
// mcp_surface.mjs sdk|client|client-legacy (stdio COMMAND ... | http URL | sse URL)
// `sdk` is the older package, `client` the newer one in the newer era, `client-legacy` in the older.
// The token for HTTP comes from TABLEWRIGHT_TOKEN, the packages from TEST_CLIENTS_DIR; the base is the
// one of tests/fixtures/workshop.json.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const load = createRequire(process.env.TEST_CLIENTS_DIR + "/");
const [which, kind, ...target] = process.argv.slice(2);
const modern = which === "client";
const headers = { Authorization: `Bearer ${process.env.TABLEWRIGHT_TOKEN}` };
const info = { name: "surface", version: "1" };

const base = "appWorkshop000000";
const parts = { base: "Workshop", table: "Parts" };
const suppliers = { base: "Workshop", table: "Suppliers / EU" };
const record = `airtable://${base}/tblParts000000000/recPart0500000000`;
const patience = 30_000;

/** A client of the package asked for, and what differs between the two. */
async function connect() {
  const told = [];
  let sdk;
  if (which === "sdk") {
    const { Client } = load("@modelcontextprotocol/sdk/client/index.js");
    const { ResourceUpdatedNotificationSchema } = load("@modelcontextprotocol/sdk/types.js");
    const client = new Client(info, { capabilities: {} });
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, (n) => void told.push(n.params.uri));
    sdk = {
      client,
      call: (params, options) => client.callTool(params, undefined, options),
      ...load("@modelcontextprotocol/sdk/client/stdio.js"),
      ...load("@modelcontextprotocol/sdk/client/streamableHttp.js"),
      ...load("@modelcontextprotocol/sdk/client/sse.js"),
    };
  } else {
    const { Client, StreamableHTTPClientTransport, SSEClientTransport } = load("@modelcontextprotocol/client");
    const mode = modern ? { pin: "2026-07-28" } : "legacy";
    const client = new Client(info, { versionNegotiation: { mode } });
    client.setNotificationHandler("notifications/resources/updated", (n) => void told.push(n.params.uri));
    const { StdioClientTransport } = load("@modelcontextprotocol/client/stdio");
    sdk = {
      client,
      call: (params, options) => client.callTool(params, options),
      StdioClientTransport,
      StreamableHTTPClientTransport,
      SSEClientTransport,
    };
  }
  const { StdioClientTransport, StreamableHTTPClientTransport, SSEClientTransport } = sdk;
  const requestInit = { headers };
  const transport = {
    stdio: () => new StdioClientTransport({ command: target[0], args: target.slice(1), env: { ...process.env } }),
    http: () => new StreamableHTTPClientTransport(new URL(target[0]), { requestInit }),
    sse: () => new SSEClientTransport(new URL(target[0]), { requestInit }),
  }[kind]();
  await sdk.client.connect(transport);
  return { client: sdk.client, told, call: sdk.call };
}

const { client, told, call } = await connect();

async function tool(name, args, options) {
  const result = await call({ name, arguments: args }, options);
  assert.ok(!result.isError, `${name}: ${result.content?.[0]?.text}`);
  return result;
}

async function total() {
  const { structuredContent } = await tool("describe_base", { base: "Workshop" });
  return structuredContent.tables.find((table) => table.name === suppliers.table).records;
}

/** A resource; `named` is its address by ids, where `uri` has names. */
async function read(uri, named = uri) {
  const options = modern ? [{ cacheMode: "refresh" }] : [];
  const { contents } = await client.readResource({ uri }, ...options);
  assert.equal(contents.length, 1);
  assert.equal(contents[0].uri, named);
  return JSON.parse(contents[0].text);
}

async function until(condition, what) {
  for (const end = Date.now() + patience; !(await condition()); ) {
    assert.ok(Date.now() < end, `${what} did not come about`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

const complete = async (ref, name, value, context) => {
  const more = context ? { context: { arguments: context } } : {};
  return (await client.complete({ ref, argument: { name, value }, ...more })).completion.values;
};

const steps = {
  async "reads resources"() {
    const uris = (await client.listResources()).resources.map((resource) => resource.uri);
    assert.ok(uris.includes("airtable://bases") && uris.includes("airtable://formula-reference"), `${uris}`);
    const { resourceTemplates } = await client.listResourceTemplates();
    assert.equal(resourceTemplates.length, 3);
    assert.deepEqual((await read("airtable://bases")).bases.map((b) => b.id), [base]);
    assert.equal((await read(`airtable://${base}/schema`)).tables.length, 2);
    const byName = await read("airtable://Workshop/Suppliers%20%2F%20EU/schema", `airtable://${base}/tblSuppliers00000/schema`);
    assert.equal(byName.fields[1].name, "City");
    assert.equal((await read(record)).fields.Name, "Part 05");
    await assert.rejects(client.readResource({ uri: "airtable://Nowhere/schema" }), (fault) => {
      // The newer package gives the older era's code as the newer one.
      assert.equal(fault.code, which === "sdk" ? -32002 : -32602, `${fault}`);
      return true;
    });
  },

  async "gets prompts"() {
    const { prompts } = await client.listPrompts();
    const names = prompts.map((prompt) => prompt.name).sort();
    assert.deepEqual(names, ["build_report", "clean_up_table", "design_schema", "explore_base", "import_data"]);
    const { messages } = await client.getPrompt({ name: "build_report", arguments: { ...parts, question: "how many?" } });
    assert.ok(JSON.stringify(messages).includes("how many?"));
    await assert.rejects(client.getPrompt({ name: "build_report", arguments: {} }));
  },

  async "completes"() {
    const report = { type: "ref/prompt", name: "build_report" };
    assert.deepEqual(await complete(report, "base", "w"), ["Workshop"]);
    assert.deepEqual(await complete(report, "table", "", { base: "Workshop" }), ["Parts", "Suppliers / EU"]);
    assert.deepEqual(await complete(report, "only", "don", { ...parts, group_by: "Status" }), ["done"]);
    const template = { type: "ref/resource", uri: "airtable://{base}/{table}/schema" };
    assert.equal((await complete(template, "table", "Par", { base })).length, 1);
  },

  async "sees updates"() {
    const change = (Name) => tool("update_records", { ...parts, records: [{ id: "recPart0500000000", fields: { Name } }] });
    const subscription = modern
      ? await client.listen({ resourceSubscriptions: [record] })
      : void (await client.subscribeResource({ uri: record }));
    if (modern) assert.deepEqual(subscription.honoredFilter.resourceSubscriptions, [record]);
    await change("Seen");
    await until(() => told.includes(record), "the notification");
    assert.equal((await read(record)).fields.Name, "Seen");
    if (modern) await subscription.close();
    else await client.unsubscribeResource({ uri: record });
    const before = told.length;
    await change("Not told");
    await tool("describe_base", { base: "Workshop" });
    assert.equal(told.length, before, "a subscription that ended");
  },

  async "follows progress"() {
    const before = await total();
    const seen = [];
    const records = Array.from({ length: 5_000 }, (_, n) => ({ Name: `Supplier ${n}` }));
    const options = { onprogress: (progress) => seen.push(progress), timeout: patience };
    const result = await tool("create_records", { ...suppliers, records }, options);
    assert.equal(result.structuredContent.count, 5_000);
    assert.ok(seen.length >= 2, `${seen.length} notes of progress`);
    seen.reduce((last, { progress, total }) => {
      assert.ok(progress > last && progress <= total && total === 5_000, JSON.stringify(seen));
      return progress;
    }, -1);
    assert.equal(await total(), before + 5_000);
  },

  async "cancels"() {
    const before = await total();
    const stop = new AbortController();
    const records = Array.from({ length: 30_000 }, (_, n) => ({ Name: `Cancelled ${n}` }));
    const options = { onprogress: () => stop.abort("enough"), signal: stop.signal, timeout: patience };
    await assert.rejects(tool("create_records", { ...suppliers, records }, options));
    assert.ok(stop.signal.aborted);
    // Writes a record behind what is being written, and counts.
    const oneMore = async () => {
      await tool("create_records", { ...suppliers, records: [{ Name: "After" }] });
      return (await total()) - before;
    };
    // The part that is being written is finished; nothing follows it.
    let [made, next] = [0, await oneMore()];
    while (next !== made + 1) [made, next] = [next, await oneMore()];
    assert.ok(next < 30_000, `${next} records were made of a call that was stopped`);
    assert.equal(await oneMore(), next + 1);
  },
};

for (const [name, step] of Object.entries(steps)) {
  try {
    await step();
  } catch (fault) {
    console.error(`${name} failed`);
    console.error(fault);
    process.exit(1);
  }
}
console.log(`${Object.keys(steps).length} steps passed`);
await client.close();
process.exit(0);
