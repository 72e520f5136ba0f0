// Uses a server through airtable.js; fails at the first answer that is not as it should be.
//
// rest_airtable.mjs http://HOST:PORT
// The token comes from TABLEWRIGHT_TOKEN, the packages from TEST_CLIENTS_DIR; the base is the one of
// tests/fixtures/workshop.json.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const Airtable = createRequire(process.env.TEST_CLIENTS_DIR + "/")("airtable");
const endpointUrl = process.argv[2];
const connect = (more) =>
  new Airtable({ endpointUrl, apiKey: process.env.TABLEWRIGHT_TOKEN, ...more }).base("appWorkshop000000");
const base = connect();
const parts = base("Parts");
const suppliers = base("Suppliers / EU");
const part = (number) => `recPart${String(number).padStart(2, "0")}00000000`;
const names = (records) => records.map((record) => record.get("Name"));
const padded = (number) => `Part ${String(number).padStart(2, "0")}`;
const odd = Array.from({ length: 15 }, (_, n) => padded(29 - 2 * n));

async function refused(act, statusCode, error, message) {
  await assert.rejects(act, (fault) => {
    assert.equal(fault.statusCode, statusCode, `${fault}`);
    assert.equal(fault.error, error, `${fault}`);
    if (message) assert.match(fault.message, message);
    return true;
  });
}

/** The sizes and the records of all pages. */
async function pages(query) {
  const sizes = [];
  const all = [];
  await query.eachPage((records, next) => {
    sizes.push(records.length);
    all.push(...records);
    next();
  });
  return { sizes, all };
}

const steps = {
  async "lists in pages"() {
    assert.deepEqual((await pages(parts.select({ pageSize: 10, maxRecords: 25 }))).sizes, [10, 10, 5]);
    assert.deepEqual((await pages(parts.select({ pageSize: 10 }))).sizes, [10, 10, 10, 1]);
    assert.deepEqual((await pages(parts.select())).sizes, [31]);
    assert.equal((await parts.select({ pageSize: 7 }).firstPage()).length, 7);
    const all = await parts.select({ pageSize: 4 }).all();
    assert.equal(new Set(all.map((record) => record.id)).size, 31);
  },

  async "lists with every option"() {
    const some = await parts
      .select({
        view: "In stock by price",
        filterByFormula: "AND({Quantity} > 3, NOT({Name} = 'x + y & \"z\"'))",
        sort: [{ field: "Status", direction: "desc" }, { field: "fldPQuantity00000" }],
        fields: ["Name", "fldPStatus0000000"],
        maxRecords: 4,
        pageSize: 3,
      })
      .all();
    assert.deepEqual(names(some), ["Part 05", "Part 11", "Part 17", "Part 23"]);
    assert.deepEqual(some[0].fields, { Name: "Part 05", Status: "done" });
    assert.deepEqual(names(await parts.select({ view: "In stock by price" }).all()), odd);
    const [byId] = await parts.select({ returnFieldsByFieldId: true, maxRecords: 1, fields: ["Name"] }).all();
    assert.deepEqual(Object.keys(byId.fields), ["fldPName000000000"]);
    const [byName] = await parts.select({ returnFieldsByFieldId: false, maxRecords: 1, fields: ["Name"] }).all();
    assert.deepEqual(Object.keys(byName.fields), ["Name"]);
    const how = { cellFormat: "string", timeZone: "Europe/Amsterdam", userLocale: "en-gb" };
    const [text] = await parts.select({ ...how, filterByFormula: "{Quantity} = 1" }).all();
    assert.equal(text.get("Price"), "€1.50");
    assert.equal(text.get("In stock"), "checked");
    assert.equal(text.get("Labels"), "small, rare");
  },

  async "lists by POST when told, and when the address is long"() {
    const how = { cellFormat: "string", timeZone: "Europe/Amsterdam", userLocale: "en-gb" };
    const told = await pages(parts.select({ method: "post", pageSize: 10, maxRecords: 25, sort: [{ field: "Number" }] }));
    assert.deepEqual(told.sizes, [10, 10, 5]);
    assert.deepEqual(names(told.all).slice(0, 2), ["Part 01", "Part 02"]);
    const some = await parts.select({ method: "post", view: "In stock by price", fields: ["Name"], ...how }).all();
    assert.deepEqual(names(some), odd);
    const [byId] = await parts.select({ method: "post", returnFieldsByFieldId: true, maxRecords: 1 }).all();
    assert.ok("fldPNumber0000000" in byId.fields);
    const filterByFormula = `OR(${Array.from({ length: 700 }, (_, n) => `RECORD_ID() = '${part((n % 20) + 1)}'`)})`;
    const long = await pages(parts.select({ filterByFormula, pageSize: 8, sort: [{ field: "Name", direction: "desc" }] }));
    assert.deepEqual(long.sizes, [8, 8, 4]);
    assert.equal(long.all[0].get("Name"), "Part 20");
  },

  async "lists as older programs do"() {
    const [records, offset] = await new Promise((done, fail) =>
      parts.list(10, null, { sort: [{ field: "Number" }] }, (error, ...page) => (error ? fail(error) : done(page))),
    );
    assert.equal(records.length, 10);
    const [next] = await new Promise((done, fail) =>
      parts.list(10, offset, { sort: [{ field: "Number" }] }, (error, ...page) => (error ? fail(error) : done(page))),
    );
    assert.equal(next[0].get("Name"), "Part 11");
    let seen = 0;
    await new Promise((done, fail) => parts.forEach({}, () => seen++, (error) => (error ? fail(error) : done())));
    assert.equal(seen, 31);
  },

  async "finds one"() {
    const record = await parts.find(part(1));
    assert.equal(record.id, part(1));
    assert.equal(record.get("Checked at"), "2026-03-01T08:15:00.000Z");
    assert.deepEqual(record.get("Supplier city"), ["Oslo", "Lyon"]);
    assert.equal(record._rawJson.createdTime, "2026-02-01T00:01:00.000Z");
    assert.deepEqual(names(await base.table("tblSuppliers00000").select({ filterByFormula: "{City} = 'Oslo'" }).all()), ["Nord AB"]);
    assert.equal((await suppliers.find("recSupSud00000000")).get("Name"), `L'Atelier "Sud"`);
  },

  async "creates one and many"() {
    const one = await parts.create({ Name: "One", Quantity: 2, Price: 3 });
    assert.equal(one.get("Total"), 6);
    const many = await parts.create([{ fields: { Name: "A" } }, { fields: { fldPName000000000: "B", Status: "odd" } }], { typecast: true });
    assert.deepEqual(names(many), ["A", "B"]);
    assert.equal(many[1].get("Status"), "odd");
    const supplier = await suppliers.create({ Name: "Slash / space", Parts: [one.id] });
    assert.deepEqual((await parts.find(one.id)).get("Supplier"), [supplier.id]);
    const byId = await parts.create({ Name: "C" }, { returnFieldsByFieldId: true });
    assert.equal(byId.get("fldPName000000000"), "C");
    assert.equal((await parts.destroy([one.id, ...many.map((m) => m.id), byId.id])).length, 4);
    await suppliers.destroy(supplier.id);
  },

  async "updates and replaces"() {
    const [id, other] = [part(21), part(22)];
    const updated = await parts.update(id, { Quantity: 210 });
    assert.equal(updated.get("Quantity"), 210);
    assert.equal(updated.get("Name"), "Part 21");
    const many = await parts.update([{ id, fields: { Name: "x" } }, { id: other, fields: { Name: "y" } }]);
    assert.deepEqual(names(many), ["x", "y"]);
    assert.equal(many[0].get("Quantity"), 210);
    const replaced = await parts.replace(id, { Name: "z" });
    assert.equal(replaced.get("Quantity"), undefined);
    assert.equal(replaced.get("Number"), 21);
    const [both] = await parts.replace([{ id: other, fields: { Price: 1 } }]);
    assert.equal(both.get("Name"), undefined);
    const record = await suppliers.find("recSupOuest000000");
    await record.patchUpdate({ City: "Nantes" });
    assert.equal(record.get("City"), "Nantes");
    await record.putUpdate({ Name: "Ouest" });
    assert.equal(record.get("City"), undefined);
  },

  async "upserts"() {
    const performUpsert = { fieldsToMergeOn: ["Name"] };
    const records = [{ fields: { Name: "Part 23", Quantity: 230 } }, { fields: { Name: "Upserted", Quantity: 1 } }];
    const done = await parts.update(records, { performUpsert });
    assert.deepEqual(names(done), ["Part 23", "Upserted"]);
    assert.equal(done[0].id, part(23));
    const { body } = await base.makeRequest({ method: "PATCH", path: "/Parts", body: { records, performUpsert } });
    assert.deepEqual([body.createdRecords, body.updatedRecords], [[], done.map((record) => record.id)]);
    const replaced = await parts.replace([{ fields: { Name: "Part 23" } }], { performUpsert });
    assert.equal(replaced[0].get("Quantity"), undefined);
    await parts.destroy(done[1].id);
  },

  async "destroys one and many"() {
    const made = await parts.create(Array.from({ length: 10 }, (_, n) => ({ fields: { Name: `gone ${n}` } })));
    assert.equal((await parts.destroy(made[0].id)).id, made[0].id);
    const gone = await parts.destroy(made.slice(1).map((record) => record.id));
    assert.deepEqual(gone.map((record) => record.id), made.slice(1).map((record) => record.id));
    await refused(() => parts.destroy(made[0].id), 404, "NOT_FOUND", /Record not found/);
  },

  async "counts comments"() {
    const address = `${endpointUrl}/v0/appWorkshop000000/Parts/${part(2)}/comments`;
    const headers = { Authorization: `Bearer ${process.env.TABLEWRIGHT_TOKEN}`, "Content-Type": "application/json" };
    const made = await fetch(address, { method: "POST", headers, body: JSON.stringify({ text: "hi" }) });
    assert.equal(made.status, 200);
    const options = { recordMetadata: ["commentCount"], filterByFormula: "{Name} = 'Part 02'" };
    assert.equal((await parts.select(options).all())[0].commentCount, 1);
    assert.equal((await parts.select({ ...options, method: "post" }).all())[0].commentCount, 1);
  },

  async "refusals have status, error and message"() {
    await refused(() => parts.create({ Nothing: 1 }), 422, "UNKNOWN_FIELD_NAME", /^Unknown field name: "Nothing"$/);
    await refused(() => parts.create({ Total: 1 }), 422, "INVALID_VALUE_FOR_COLUMN", /because the field is computed$/);
    await refused(() => parts.create({ Quantity: "x" }), 422, "INVALID_VALUE_FOR_COLUMN", /cannot accept the provided value$/);
    await refused(() => parts.create({ Status: "none" }), 422, "INVALID_MULTIPLE_CHOICE_OPTIONS", /create new select option/);
    await refused(() => parts.select({ filterByFormula: "(" }).all(), 422, "INVALID_FILTER_BY_FORMULA", /formula/);
    await refused(() => parts.select({ view: "None" }).all(), 422, "VIEW_NAME_NOT_FOUND", /^View None not found$/);
    await refused(() => parts.create(Array(11).fill({ fields: {} })), 422, "INVALID_RECORDS", /up to 10/);
    await refused(() => parts.select({ pageSize: 101 }).all(), 422, "INVALID_REQUEST_UNKNOWN");
    await refused(() => parts.find("recNone0000000000"), 403, "NOT_AUTHORIZED");
    await refused(() => base("No such table").select().all(), 403, "NOT_AUTHORIZED");
    await refused(() => base("Parts/None").select().all(), 403, "NOT_AUTHORIZED");
    await refused(() => parts.find("nonsense"), 404, "NOT_FOUND");
    await refused(() => connect({ apiKey: "wrong" })("Parts").select().all(), 401, "AUTHENTICATION_REQUIRED");
  },

  async "works through makeRequest"() {
    const answer = await base.makeRequest({ path: "/Parts", qs: { maxRecords: 2, fields: ["Name"] } });
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.body.records.length, 2);
    await refused(() => base.makeRequest({ path: "/Parts", qs: { nonsense: 1 } }), 422, "INVALID_REQUEST_UNKNOWN");
  },

  // airtable.js asks for `Connection: close` while Node pools its sockets: a server that closes
  // without saying so fails the next request.
  async "lives through many connections"() {
    for (let n = 0; n < 150; n++) assert.equal((await parts.find(part((n % 20) + 1))).id, part((n % 20) + 1));
    const many = Array.from({ length: 100 }, (_, n) => parts.find(part((n % 20) + 1)));
    assert.equal((await Promise.all(many)).length, 100);
  },
};

for (const [name, step] of Object.entries(steps)) {
  try {
    await step();
  } catch (fault) {
    console.error(`${name} failed`);
    throw fault;
  }
}
console.log(`${Object.keys(steps).length} steps passed`);
