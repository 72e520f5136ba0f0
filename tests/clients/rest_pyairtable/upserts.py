"""Updates that create what is not there."""

from workshop import refused


def table(shop):
    fields = [
        {"name": "Key", "type": "singleLineText"},
        {"name": "Amount", "type": "number", "options": {"precision": 0}},
        {"name": "Kind", "type": "singleSelect", "options": {"choices": [{"name": "a"}, {"name": "b"}]}},
        {"name": "Day", "type": "date", "options": {"dateFormat": {"name": "iso"}}},
    ]
    return shop.base.create_table(f"Upserts {len(shop.wire)}", fields)


def cells(result):
    return [(r["fields"].get("Key"), r["fields"].get("Amount")) for r in result["records"]]


def creates_and_updates(shop):
    rows = table(shop)
    one, two = rows.batch_create([{"Key": "One", "Amount": 1}, {"Key": "Two", "Amount": 2}])
    result = rows.batch_upsert(
        [
            {"id": one["id"], "fields": {"Amount": 3}},
            {"fields": {"Key": "Two", "Amount": 4}},
            {"fields": {"Key": "Three", "Amount": 5}},
        ],
        key_fields=["Key"],
    )
    assert sorted(result["updatedRecords"]) == sorted([one["id"], two["id"]]), result
    assert len(result["createdRecords"]) == 1, result
    assert [r["id"] for r in result["records"]] == [one["id"], two["id"], *result["createdRecords"]], result
    assert cells(result) == [("One", 3), ("Two", 4), ("Three", 5)], result
    by_id = rows.batch_upsert([{"fields": {"Key": "Two", "Amount": 6}}], key_fields=["Key"], use_field_ids=True)
    key = rows.schema().field("Key").id
    assert by_id["records"][0]["fields"][key] == "Two" and by_id["updatedRecords"] == [two["id"]], by_id
    by_field_id = rows.batch_upsert([{"fields": {key: "Two", "Amount": 7}}], key_fields=[key])
    assert cells(by_field_id) == [("Two", 7)] and by_field_id["createdRecords"] == []


def matches_what_was_there_before(shop):
    """One record's update blanks the key, another comes with a blank key: that one is new."""
    rows = table(shop)
    one, two = rows.batch_create([{"Key": "One", "Amount": 1}, {"Key": "Two", "Amount": 2}])
    result = rows.batch_upsert(
        [
            {"id": one["id"], "fields": {"Amount": 3}},
            {"fields": {"Key": "Two"}},
            {"fields": {"Key": None, "Amount": 6}},
        ],
        key_fields=["Key"],
        replace=True,
    )
    assert sorted(result["updatedRecords"]) == sorted([one["id"], two["id"]]), result
    assert len(result["createdRecords"]) == 1, result
    assert cells(result) == [(None, 3), ("Two", None), (None, 6)], result
    assert result["records"][2]["id"] not in (one["id"], two["id"]), result
    assert len(rows.all()) == 3


def renamed_keys_do_not_match_within_a_request(shop):
    rows = table(shop)
    one = rows.create({"Key": "One"})["id"]
    result = rows.batch_upsert(
        [{"id": one, "fields": {"Key": "Two"}}, {"fields": {"Key": "Two", "Amount": 2}}], key_fields=["Key"]
    )
    assert result["updatedRecords"] == [one] and len(result["createdRecords"]) == 1, result


def takes_several_keys_of_several_types(shop):
    rows = table(shop)
    made = rows.batch_create(
        [
            {"Key": "x", "Kind": "a", "Day": "2026-01-01", "Amount": 1},
            {"Key": "x", "Kind": "b", "Day": "2026-01-01", "Amount": 2},
        ]
    )
    keys = ["Key", "Kind", "Day"]
    result = rows.batch_upsert(
        [
            {"fields": {"Key": "x", "Kind": "b", "Day": "2026-01-01", "Amount": 20}},
            {"fields": {"Key": "x", "Kind": "b", "Day": "2026-01-02", "Amount": 30}},
        ],
        key_fields=keys,
    )
    assert result["updatedRecords"] == [made[1]["id"]] and len(result["createdRecords"]) == 1, result
    by_number = rows.batch_upsert([{"fields": {"Amount": 20, "Key": "y"}}], key_fields=["Amount"])
    assert by_number["updatedRecords"] == [made[1]["id"]], by_number


def works_in_batches_and_converts(shop):
    rows = table(shop)
    rows.create({"Key": "7"})
    wanted = [{"fields": {"Key": n, "Kind": "c"}} for n in range(23)]
    result, sent = shop.sent(lambda: rows.batch_upsert(wanted, key_fields=["Key"], typecast=True))
    assert [method for method, _ in sent] == ["PATCH"] * 3, sent
    assert len(result["createdRecords"]) == 22 and len(result["updatedRecords"]) == 1, result
    assert [r["fields"]["Key"] for r in result["records"]] == [str(n) for n in range(23)]


def is_refused_when_unclear(shop):
    rows = table(shop)
    rows.batch_create([{"Key": "same"}, {"Key": "same"}])
    refused(lambda: rows.batch_upsert([{"fields": {"Key": "same", "Amount": 1}}], key_fields=["Key"]), 422, None)
    assert [r["fields"] for r in rows.all()] == [{"Key": "same"}] * 2, "nothing was written"
    body = {"records": [{"fields": {"Amount": 1}}], "performUpsert": {"fieldsToMergeOn": ["Key"]}}
    refused(lambda: shop.api.patch(rows.urls.records, json=body), 422, None)
    for keys in ([], ["Key", "Kind", "Day", "Amount"], ["None such"]):
        body = {"records": [{"fields": {"Key": "x", "Kind": "a", "Day": "2026-01-01", "Amount": 1}}]}
        body["performUpsert"] = {"fieldsToMergeOn": keys}
        refused(lambda: shop.api.patch(rows.urls.records, json=body), 422, None)
    missing = [{"id": "recNone0000000000", "fields": {"Key": "x"}}]
    refused(lambda: rows.batch_upsert(missing, key_fields=["Key"]), 422, ("ROW_DOES_NOT_EXIST", "recNone0000000000"))
    assert len(rows.all()) == 2


STEPS = [
    creates_and_updates,
    matches_what_was_there_before,
    renamed_keys_do_not_match_within_a_request,
    takes_several_keys_of_several_types,
    works_in_batches_and_converts,
    is_refused_when_unclear,
]
