"""Creating, updating, replacing and deleting, one by one and in batches."""

from workshop import part, until


def creates_one(shop):
    made = shop.parts.create(
        {"Name": "New", "fldPQuantity00000": 4, "Price": 2.5, "Notes": "", "Labels": [], "In stock": False}
    )
    fields = made["fields"]
    assert (fields["Name"], fields["Quantity"], fields["Price"], fields["Total"]) == ("New", 4, 2.5, 10), fields
    assert not {"Notes", "Labels", "In stock"} & set(fields), fields
    assert fields["Number"] == 32, fields
    me = shop.api.whoami()
    assert fields["Made by"]["id"] == me["id"] and fields["Made by"]["email"] == me["email"], fields
    assert made["createdTime"].endswith("Z") and fields["Made"] == made["createdTime"], made
    listed = shop.parts.first(formula="{Name} = 'New'")
    assert listed == made == shop.parts.get(made["id"]), (listed, made)
    by_id = shop.parts.create({"Name": "By id"}, use_field_ids=True)
    assert by_id["fields"]["fldPName000000000"] == "By id", by_id
    assert shop.parts.create({})["fields"].get("Name") is None


def creates_many(shop):
    wanted = [f"Batch {number}" for number in range(25)]
    made, sent = shop.sent(lambda: shop.parts.batch_create({"Name": name} for name in wanted))
    assert [record["fields"]["Name"] for record in made] == wanted
    assert [method for method, _ in sent] == ["POST"] * 3, sent
    assert len({record["id"] for record in made}) == 25
    assert shop.parts.get(made[24]["id"]) == made[24]
    (by_id,) = shop.parts.batch_create([{"Name": "x"}], use_field_ids=True)
    assert by_id["fields"]["fldPName000000000"] == "x"


def converts_when_told(shop):
    values = {
        "Name": 12,
        "Quantity": "1,250",
        "Price": "€ 9.50",
        "Discount": "12.5%",
        "Build time": "1:30",
        "Grade": "3",
        "In stock": "yes",
        "Ordered": "2026-05-06",
        "Status": "lost",
        "Labels": "small, odd",
        "Supplier": "Nord AB",
    }
    made = shop.parts.create(values, typecast=True)["fields"]
    wanted = {
        "Name": "12",
        "Quantity": 1250,
        "Price": 9.5,
        "Discount": 0.125,
        "Build time": 5400,
        "Grade": 3,
        "In stock": True,
        "Ordered": "2026-05-06",
        "Status": "lost",
        "Labels": ["small", "odd"],
        "Supplier": ["recSupNord0000000"],
        "Supplier city": ["Oslo"],
    }
    assert {name: made.get(name) for name in wanted} == wanted, made
    schema = shop.base.schema(force=True).table("Parts")
    assert [choice.name for choice in schema.field("Status").options.choices][-1] == "lost"
    assert [choice.name for choice in schema.field("Labels").options.choices][-1] == "odd"
    linked = shop.parts.create({"Name": "Linked", "Supplier": ["A new supplier"]}, typecast=True)
    (supplier,) = linked["fields"]["Supplier"]
    assert shop.suppliers.get(supplier)["fields"] == {"Name": "A new supplier", "Parts": [linked["id"]]}


def updates_leave_the_rest(shop):
    fields = shop.parts.update(part(1), {"Quantity": 5, "Notes": "changed"})["fields"]
    assert (fields["Quantity"], fields["Notes"], fields["Name"], fields["Total"]) == (5, "changed", "Part 01", 7.5)
    assert fields["Changed by"]["id"] == shop.api.whoami()["id"], fields
    fields = shop.parts.update(part(1), {"Notes": None, "Mail": "", "Labels": [], "In stock": False})["fields"]
    assert not {"Notes", "Mail", "Labels", "In stock"} & set(fields), fields
    assert fields["Page"] == "https://parts.example/1"
    by_id = shop.parts.update(part(1), {"Quantity": 6}, use_field_ids=True)
    assert by_id["fields"]["fldPQuantity00000"] == 6
    assert shop.parts.get(part(1))["fields"]["Quantity"] == 6


def replaces_take_the_rest_away(shop):
    fields = shop.parts.update(part(1), {"Name": "Only this"}, replace=True)["fields"]
    assert fields["Name"] == "Only this" and fields["Number"] == 1, fields
    kept = {
        "Name",
        "Number",
        "Made",
        "Changed",
        "Made by",
        "Changed by",
        "Open",
        "Summary",
        "Source",
        "Total",
        "Suppliers",
        "Best score",
    }
    assert set(fields) <= kept, fields
    assert part(1) not in shop.suppliers.get("recSupNord0000000")["fields"]["Parts"]


def updates_many(shop):
    wanted = [{"id": part(number), "fields": {"Quantity": 100 + number}} for number in range(2, 14)]
    changed, sent = shop.sent(lambda: shop.parts.batch_update(wanted))
    assert [method for method, _ in sent] == ["PATCH"] * 2, sent
    assert [(r["id"], r["fields"]["Quantity"]) for r in changed] == [(w["id"], w["fields"]["Quantity"]) for w in wanted]
    assert changed[0]["fields"]["Name"] == "Part 02", "the whole record is given back"
    replaced, sent = shop.sent(lambda: shop.parts.batch_update([{"id": part(4), "fields": {"Price": 3}}], replace=True))
    assert [method for method, _ in sent] == ["PUT"], sent
    assert replaced[0]["fields"]["Price"] == 3 and "Name" not in replaced[0]["fields"], replaced


def links_both_ways(shop):
    shop.parts.update(part(20), {"Supplier": ["recSupSud00000000", "recSupOuest000000"]})
    record = shop.parts.get(part(20))["fields"]
    assert record["Supplier"] == ["recSupSud00000000", "recSupOuest000000"], record
    assert record["Supplier city"] == ["Lyon", "Brest"] and record["Best score"] == 9 and record["Suppliers"] == 2
    assert part(20) in shop.suppliers.get("recSupOuest000000")["fields"]["Parts"]
    shop.suppliers.update("recSupSud00000000", {"City": "Paris", "Parts": [part(21)]})
    assert shop.parts.get(part(20))["fields"]["Supplier"] == ["recSupOuest000000"]
    # A copy of a base that lives elsewhere hears a little later what follows from a write.
    city = lambda: shop.parts.get(part(21))["fields"].get("Supplier city")
    until(lambda: city() == ["Paris"], "the city behind the link")


def writes_people_and_codes(shop):
    me = shop.api.whoami()
    fields = shop.parts.update(
        part(22),
        {
            "Owner": {"id": me["id"]},
            "Crew": [{"email": me["email"]}, {"email": "eve@example.org"}],
            "Code": {"text": "42"},
            "Checked at": "2026-04-01T10:00:00+02:00",
        },
    )["fields"]
    assert fields["Owner"]["id"] == me["id"], fields
    assert [person["email"] for person in fields["Crew"]] == [me["email"], "eve@example.org"], fields
    assert fields["Code"] == {"text": "42"} and fields["Checked at"] == "2026-04-01T08:00:00.000Z", fields


def deletes(shop):
    made = [record["id"] for record in shop.parts.batch_create([{"Name": "gone"}] * 13)]
    assert shop.parts.delete(made[0]) == {"id": made[0], "deleted": True}
    gone, sent = shop.sent(lambda: shop.parts.batch_delete(made[1:]))
    assert gone == [{"id": record, "deleted": True} for record in made[1:]], gone
    assert [method for method, _ in sent] == ["DELETE"] * 2 and "records%5B%5D=" in sent[0][1], sent
    assert shop.parts.all(formula="{Name} = 'gone'") == []


def pages_live_through_writes(shop):
    pages = shop.suppliers.iterate(page_size=2)
    before = {record["id"] for record in shop.suppliers.all()}
    seen = [record["id"] for record in next(pages)]
    late = shop.suppliers.create({"Name": "late"})["id"]
    gone = next(record for record in before if record not in seen)
    shop.suppliers.delete(gone)
    for page in pages:
        seen += [record["id"] for record in page]
    assert len(seen) == len(set(seen)), seen
    assert before - {gone} <= set(seen) <= before | {late}, (before, seen)


STEPS = [
    creates_one,
    creates_many,
    converts_when_told,
    updates_leave_the_rest,
    replaces_take_the_rest_away,
    updates_many,
    links_both_ways,
    writes_people_and_codes,
    deletes,
    pages_live_through_writes,
]
