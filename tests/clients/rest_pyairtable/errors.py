"""The texts and statuses of refusals, as clients match on them."""

import requests
from workshop import BASE, PARTS, part, refused

INVISIBLE = ("INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", "^Invalid permissions, or the requested model was not found")
UNKNOWN = ("INVALID_REQUEST_UNKNOWN", "parameter validation failed")


def tokens(shop):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {shop.token}"}):
        answer = requests.get(f"{shop.endpoint}/v0/{BASE}/Parts", headers=headers, timeout=20)
        assert answer.status_code == 401, answer.text
        assert answer.json() == {"error": {"type": "AUTHENTICATION_REQUIRED", "message": "Authentication required"}}
    address = f"{shop.endpoint}/v0/{BASE}/Parts?api_key={shop.token}"
    assert requests.get(address, timeout=20).status_code == 401, "no token in an address"


def addresses(shop):
    for path in ("nonsense", f"{BASE}", f"meta/nonsense", f"{BASE}/Parts/nonsense", f"{BASE}/Parts/{part(1)}/nonsense"):
        answer = requests.get(f"{shop.endpoint}/v0/{path}", timeout=20)
        assert (answer.status_code, answer.json()) == (404, {"error": "NOT_FOUND"}), (path, answer.text)
    refused(lambda: shop.api.table("appNone0000000000", "Parts").all(), 403, INVISIBLE)
    refused(lambda: shop.base.table("No such table").all(), 403, INVISIBLE)
    refused(lambda: shop.base.table("tblNone0000000000").all(), 403, INVISIBLE)
    refused(lambda: shop.parts.get("recNone0000000000"), 403, INVISIBLE)
    refused(lambda: shop.api.base("appNone0000000000").schema(), 403, INVISIBLE)


def fields(shop):
    unknown = ("UNKNOWN_FIELD_NAME", '^Unknown field name: "Nothing"$')
    refused(lambda: shop.parts.create({"Nothing": 1}), 422, unknown)
    refused(lambda: shop.parts.update(part(1), {"Nothing": 1}), 422, unknown)
    refused(lambda: shop.parts.all(fields=["Name", "Nothing"]), 422, unknown)
    refused(lambda: shop.parts.all(sort=["Nothing"]), 422, unknown)
    refused(lambda: shop.parts.create({"fldNone0000000000": 1}), 422, ("UNKNOWN_FIELD_NAME", "fldNone0000000000"))
    computed = ("INVALID_VALUE_FOR_COLUMN", '^Field "Total" cannot accept a value because the field is computed$')
    refused(lambda: shop.parts.create({"Name": "x", "Total": 5}), 422, computed)
    refused(lambda: shop.parts.update(part(1), {"Total": 5}), 422, computed)


def values(shop):
    def wrong(field, value, **options):
        message = ("INVALID_VALUE_FOR_COLUMN", f'^Field "{field}" cannot accept the provided value$')
        refused(lambda: shop.parts.create({"Name": "wrong", field: value}, **options), 422, message)

    for field, value in [
        ("Name", 5),
        ("Quantity", "5"),
        ("Price", [1]),
        ("In stock", "yes"),
        ("Ordered", "tomorrow"),
        ("Checked at", 5),
        ("Status", 5),
        ("Labels", "small"),
        ("Supplier", "recSupNord0000000"),
        ("Grade", 9),
        ("Grade", 1.5),
        ("Code", "x"),
        ("Owner", "ada"),
    ]:
        wrong(field, value)
    wrong("Quantity", "five", typecast=True)
    assert shop.parts.all(formula="{Name} = 'wrong'") == []


def choices(shop):
    message = ("INVALID_MULTIPLE_CHOICE_OPTIONS", '^Insufficient permissions to create new select option "+lost"+$')
    refused(lambda: shop.parts.create({"Status": "lost"}), 422, message)
    refused(lambda: shop.parts.update(part(1), {"Labels": ["small", "lost"]}), 422, message)


def links(shop):
    missing = ("ROW_DOES_NOT_EXIST", "^Record ID recNone0000000000 does not exist in this table$")
    refused(lambda: shop.parts.create({"Supplier": ["recNone0000000000"]}), 422, missing)
    other = (
        "ROW_TABLE_DOES_NOT_MATCH_LINKED_TABLE",
        f"{part(2)} belongs to table {PARTS}, but the field links to table tblSuppliers00000",
    )
    refused(lambda: shop.parts.create({"Supplier": [part(2)]}), 422, other)


def attachments(shop):
    for value in (
        ["https://x.example/a.txt"],
        [{"id": "attNone0000000000"}],
        [{"url": "data:text/plain,x"}],
        [{"filename": "x"}],
        [{"url": "https://x.example/a", "size": 4}],
    ):
        refused(lambda: shop.parts.create({"Files": value}), 422, ("INVALID_ATTACHMENT_OBJECT", None))


def formulas(shop):
    invalid = "^The formula for filtering records is invalid: "
    refused(
        lambda: shop.parts.all(formula="{Name"),
        422,
        ("INVALID_FILTER_BY_FORMULA", invalid + "Invalid formula. Please check your formula text."),
    )
    refused(lambda: shop.parts.all(formula="NOSUCH(1)"), 422, ("INVALID_FILTER_BY_FORMULA", invalid))
    refused(
        lambda: shop.parts.all(formula="AND({Nothing}, {Nowhere})"),
        422,
        ("INVALID_FILTER_BY_FORMULA", invalid + "Unknown field names: [Nn]othing, [Nn]owhere"),
    )


def views(shop):
    refused(lambda: shop.parts.all(view="Nothing"), 422, ("VIEW_NAME_NOT_FOUND", "^View Nothing not found$"))
    refused(lambda: shop.parts.all(view="viwNone0000000000"), 422, ("VIEW_ID_NOT_FOUND", "viwNone0000000000"))
    refused(lambda: shop.suppliers.all(view="viwPartsStock0000"), 422, ("FAILED_STATE_CHECK", None))


def parameters(shop):
    address = shop.parts.urls.records
    for wrong in (
        {"pageSize": 0},
        {"pageSize": 101},
        {"pageSize": "x"},
        {"maxRecords": 0},
        {"maxRecords": -1},
        {"cellFormat": "xml"},
        {"cellFormat": "string"},
        {"cellFormat": "string", "timeZone": "utc"},
        {"cellFormat": "string", "timeZone": "Mars/Olympus", "userLocale": "en"},
        {"returnFieldsByFieldId": "perhaps"},
        {"sort[0][field]": "Name", "sort[0][direction]": "up"},
        {"sort[0][direction]": "asc"},
        {"recordMetadata[]": "nonsense"},
        {"nonsense": "1"},
    ):
        refused(lambda: shop.api.get(address, params=wrong), 422, UNKNOWN)
    refused(
        lambda: shop.api.get(address, params={"offset": "nonsense"}),
        422,
        ("INVALID_OFFSET_VALUE", "^The value of offset nonsense is invalid$"),
    )
    gone = {"offset": "itrAAAAAAAAAAAAAA/recBBBBBBBBBBBBBB"}
    refused(lambda: shop.api.get(address, params=gone), 422, ("LIST_RECORDS_ITERATOR_NOT_AVAILABLE", None))


def bodies(shop):
    address = shop.parts.urls.records
    create = '^You must provide an array of up to 10 record objects, each with a "fields" object for cell values.'
    update = '^You must provide an array of up to 10 record objects, each with an "id" ID field and a "fields" object for cell values.'
    one = {"fields": {"Name": "x"}}
    refused(lambda: shop.api.post(address, json={"records": [one] * 11}), 422, ("INVALID_RECORDS", create))
    refused(lambda: shop.api.post(address, json={"records": []}), 422, ("INVALID_RECORDS", create))
    refused(lambda: shop.api.post(address, json={"records": [5]}), 422, ("INVALID_RECORDS", create))
    refused(lambda: shop.api.patch(address, json={"records": [one]}), 422, ("INVALID_RECORDS", update))
    refused(
        lambda: shop.api.patch(address, json={"records": [{"id": part(1), **one}] * 11}),
        422,
        ("INVALID_RECORDS", update),
    )
    delete = ("INVALID_RECORDS", "^You must provide an array of up to 10 record IDs.")
    refused(lambda: shop.api.delete(address, params={"records[]": [part(n) for n in range(1, 12)]}), 422, delete)
    refused(lambda: shop.api.delete(address), 422, delete)
    refused(lambda: shop.api.post(address, json={}), 422, ("INVALID_REQUEST_MISSING_FIELDS", "."))
    refused(lambda: shop.api.post(address, json={**one, "nonsense": 1}), 422, UNKNOWN)
    refused(lambda: shop.api.post(address, json={**one, "typecast": "yes"}), 422, UNKNOWN)
    headers = {"Authorization": f"Bearer {shop.token}", "Content-Type": "application/json"}
    answer = requests.post(address, data=b'{"fields":', headers=headers, timeout=20)
    assert answer.status_code == 422 and answer.json()["error"]["type"] == "INVALID_REQUEST_BODY", answer.text
    assert answer.json()["error"]["message"].startswith("Could not parse request body")


def records_that_are_not_there(shop):
    none = "recNone0000000000"
    refused(lambda: shop.parts.delete(none), 404, ("MODEL_ID_NOT_FOUND", "Record not found"))
    refused(lambda: shop.parts.update(none, {"Name": "x"}), 404, ("MODEL_ID_NOT_FOUND", "Record not found"))
    many = [{"id": part(1), "fields": {"Name": "changed"}}, {"id": none, "fields": {"Name": "x"}}]
    refused(
        lambda: shop.parts.batch_update(many),
        422,
        ("ROW_DOES_NOT_EXIST", "^Record ID recNone0000000000 does not exist in this table$"),
    )
    assert shop.parts.get(part(1))["fields"]["Name"] == "Part 01", "nothing was written"
    refused(lambda: shop.parts.batch_delete([part(1), none]), 422, None)
    assert shop.parts.get(part(1))["fields"]["Name"] == "Part 01", "nothing was deleted"


def batches_are_all_or_nothing(shop):
    before = len(shop.parts.all())
    refused(
        lambda: shop.parts.batch_create([{"Name": "good"}, {"Quantity": "bad"}]),
        422,
        ("INVALID_VALUE_FOR_COLUMN", "Quantity"),
    )
    assert len(shop.parts.all()) == before


STEPS = [
    tokens,
    addresses,
    fields,
    values,
    choices,
    links,
    attachments,
    formulas,
    views,
    parameters,
    bodies,
    records_that_are_not_there,
    batches_are_all_or_nothing,
]
