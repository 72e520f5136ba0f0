"""Bases, schema, and lists with every option."""

from pyairtable.models import schema as models
from workshop import BASE, PARTS, SUPPLIERS, part


def names(records):
    return [record["fields"].get("Name") for record in records]


def knows_who_asks(shop):
    me = shop.api.whoami()
    assert me["id"].startswith("usr") and len(me["id"]) == 17, me
    assert "@" in me["email"] and "scopes" not in me, me


def lists_bases(shop):
    (base,) = shop.api.bases()
    assert (base.id, base.name, base.permission_level) == (BASE, "Workshop", "create")
    assert shop.api.base(BASE, validate=True).name == "Workshop"
    about = shop.base.collaborators()
    assert (about.id, about.name, about.permission_level) == (BASE, "Workshop", "create")
    assert about.workspace_id.startswith("wsp"), about.workspace_id


def knows_every_field_type(shop):
    schema = shop.base.schema()
    assert [table.name for table in schema.tables] == ["Parts", SUPPLIERS]
    parts = schema.table("Parts")
    assert parts.id == PARTS and parts.primary_field_id == "fldPName000000000"
    assert parts.description == "One field of every type"
    assert {field.type for field in parts.fields} == {kind.value for kind in models.FieldType}
    for field in parts.fields:
        assert not isinstance(field, models.UnknownFieldSchema), field
    total = parts.field("Total").options
    assert total.formula == "{fldPQuantity00000} * {fldPPrice00000000}" and total.is_valid, total
    assert total.referenced_field_ids == ["fldPQuantity00000", "fldPPrice00000000"], total
    assert total.result.type == "number" and total.result.options.precision == 2, total
    link = parts.field("Supplier").options
    assert schema.table(SUPPLIERS).field("Parts").id == link.inverse_link_field_id
    assert [choice.name for choice in parts.field("Status").options.choices] == ["todo", "doing", "done"]
    assert parts.field("Ordered").options.date_format.format == "YYYY-MM-DD"
    assert parts.field("Name").description == "What it is called"
    assert parts.field("Notes").description is None


def knows_views(shop):
    views = shop.base.schema().table("Parts").views
    assert [(view.name, view.type) for view in views] == [
        ("Grid view", "grid"),
        ("In stock by price", "grid"),
        ("Board", "kanban"),
    ]
    assert views[1].visible_field_ids == ["fldPName000000000", "fldPPrice00000000"], views[1]
    assert len(views[0].visible_field_ids) == 35, views[0]
    assert views[2].visible_field_ids is None, "only grids tell their fields"
    assert [table.name for table in shop.base.tables()] == ["Parts", SUPPLIERS]


def gives_cells_as_they_are(shop):
    records = {record["id"]: record for record in shop.parts.all()}
    assert len(records) == 31
    first = records[part(1)]
    assert first["createdTime"] == "2026-02-01T00:01:00.000Z"
    ada = {"id": "usrAda00000000000", "email": "ada@example.org", "name": "Ada"}
    wanted = {
        "Name": "Part 01",
        "Notes": "two\nlines",
        "Story": "**bold**\n",
        "Mail": "part@example.org",
        "Page": "https://parts.example/1",
        "Phone": "+31 20 123 4567",
        "Quantity": 1,
        "Weight": 1.25,
        "Price": 1.5,
        "Discount": 0.125,
        "Build time": 5400,
        "Grade": 4,
        "In stock": True,
        "Ordered": "2026-01-01",
        "Checked at": "2026-03-01T08:15:00.000Z",
        "Status": "doing",
        "Labels": ["small", "rare"],
        "Owner": ada,
        "Crew": [ada, {"id": "usrBo000000000000", "email": "bo@example.org", "name": "Bo"}],
        "Supplier": ["recSupNord0000000", "recSupSud00000000"],
        "Code": {"text": "0012345", "type": "upce"},
        "Total": 1.5,
        "Supplier city": ["Oslo", "Lyon"],
        "Best score": 9,
        "Suppliers": 2,
        "Number": 1,
        "Made": "2026-02-01T00:01:00.000Z",
        "Open": {"label": "Open", "url": "https://parts.example/1"},
        "Summary": {"state": "generated", "isStale": False, "value": "A part"},
        "Source": "warehouse",
    }
    got = {name: value for name, value in first["fields"].items() if name in wanted}
    assert got == wanted, {name: (got.get(name), value) for name, value in wanted.items() if got.get(name) != value}
    assert "Files" not in first["fields"], "empty cells are left out"
    assert "In stock" not in records[part(2)]["fields"], "an empty checkbox is left out"
    empty = records[part(31)]["fields"]
    assert "Name" not in empty and empty["Suppliers"] == 0 and empty["Number"] == 31, empty


def pages(shop):
    def sizes(**options):
        return [len(page) for page in shop.parts.iterate(**options)]

    assert sizes(page_size=10, max_records=25) == [10, 10, 5]
    assert sizes(page_size=10, max_records=20) == [10, 10]
    assert sizes(page_size=10) == [10, 10, 10, 1]
    assert sizes(page_size=31) == [31] and sizes() == [31]
    assert sizes(max_records=3) == [3]
    seen = [record["id"] for page in shop.parts.iterate(page_size=4) for record in page]
    assert len(seen) == len(set(seen)) == 31
    page = shop.api.get(shop.parts.urls.records, params={"pageSize": 30})
    assert page["offset"].startswith("itr") and "/rec" in page["offset"], page["offset"]
    assert "offset" not in shop.api.get(shop.parts.urls.records, params={"offset": ""})
    assert len(shop.api.get(shop.parts.urls.records, params={"limit": 7})["records"]) == 7


def views_filter_and_order(shop):
    odd = [f"Part {number:02}" for number in range(29, 0, -2)]
    shown = shop.parts.all(view="In stock by price")
    assert names(shown) == odd
    assert "Quantity" in shown[0]["fields"], "hidden fields are given too"
    assert names(shop.parts.all(view="viwPartsStock0000")) == odd
    assert names(shop.parts.all(view="In stock by price", sort=["Name"])) == odd[::-1]
    some = shop.parts.all(view="In stock by price", formula="{Quantity} > 20", page_size=2)
    assert names(some) == odd[:5], names(some)


def sorts(shop):
    by_status = [None] + [f"Part {n:02}" for rest in (0, 1, 2) for n in range(30, 0, -1) if n % 3 == rest]
    assert names(shop.parts.all(sort=["Status", "-Quantity"])) == by_status, "choices in their order, blanks first"
    assert names(shop.parts.all(sort=["-fldPQuantity00000"], max_records=2)) == ["Part 30", "Part 29"]
    assert names(shop.parts.all(sort=["-Name"]))[-1] is None
    first = shop.api.get(shop.parts.urls.records, params={"sort[0][field]": "Quantity", "pageSize": 2})
    assert names(first["records"]) == [None, "Part 01"], "ascending when nothing is said"


def chooses_fields(shop):
    record = shop.parts.first(sort=["-Quantity"], fields=["Name", "fldPPrice00000000"])
    assert record["fields"] == {"Name": "Part 30", "Price": 45}, record
    record = shop.parts.first(sort=["-Quantity"], fields=["Name", "Price"], use_field_ids=True)
    assert record["fields"] == {"fldPName000000000": "Part 30", "fldPPrice00000000": 45}, record
    assert shop.parts.first(sort=["-Quantity"], fields="Name")["fields"] == {"Name": "Part 30"}
    assert shop.parts.first(sort=["-Quantity"], fields=["Name"], use_field_ids=False)["fields"] == {"Name": "Part 30"}
    by_id = shop.connect(use_field_ids=True).table(BASE, "Parts")
    assert by_id.get(part(3))["fields"]["fldPName000000000"] == "Part 03"
    assert by_id.all(fields=["Name"], max_records=1)[0]["fields"].keys() == {"fldPName000000000"}


def gives_text_when_asked(shop):
    how = {"cell_format": "string", "time_zone": "Europe/Amsterdam", "user_locale": "en-gb"}
    wanted = {
        "Name": "Part 01",
        "Quantity": "1",
        "Weight": "1.25",
        "Price": "€1.50",
        "Discount": "12.5%",
        "Build time": "1:30",
        "Grade": "4",
        "In stock": "checked",
        "Ordered": "2026-01-01",
        "Status": "doing",
        "Labels": "small, rare",
        "Owner": "Ada",
        "Crew": "Ada, Bo",
        "Total": "1.50",
        "Supplier city": "Oslo, Lyon",
        "Best score": "9",
        "Code": "0012345",
    }
    for record in (shop.parts.get(part(1), **how), shop.parts.first(formula="{Quantity} = 1", **how)):
        fields = record["fields"]
        assert all(isinstance(value, str) for value in fields.values()), fields
        got = {name: fields.get(name) for name in wanted}
        assert got == wanted, {name: got[name] for name in wanted if got[name] != wanted[name]}
        assert fields["Supplier"].startswith("Nord AB, "), fields["Supplier"]
        assert fields["Checked at"].startswith("2026-03-01"), fields["Checked at"]
    assert shop.parts.first(time_zone="Europe/Amsterdam", user_locale="en-gb")["fields"]["Number"] == 1


def gets_one(shop):
    record = shop.parts.get(part(2))
    assert record["id"] == part(2) and record["fields"]["Name"] == "Part 02", record
    assert shop.parts.get(part(2), use_field_ids=True)["fields"]["fldPName000000000"] == "Part 02"
    elsewhere = shop.parts.get("recSupNord0000000")
    assert elsewhere["fields"]["City"] == "Oslo", "a record of another table of the base is given all the same"
    assert shop.parts.first(formula="{Name} = 'none'") is None


def takes_names_and_ids_in_addresses(shop):
    assert {record["fields"]["City"] for record in shop.suppliers.all()} == {"Oslo", "Lyon", "Brest"}
    assert shop.base.table(SUPPLIERS, validate=True).id_or_name == "tblSuppliers00000"
    assert len(shop.base.table("tblSuppliers00000").all()) == 3
    assert len(shop.base.table("parts").all(max_records=2)) == 2, "names of tables ignore case"
    address = f"{shop.endpoint}/v0/{BASE}/Suppliers%20%2F%20EU/"
    assert len(shop.api.get(address, params={"fields": ["Name", "City"]})["records"]) == 3
    for fields in ({"fields[0]": "Name"}, {"fields": "Name"}, {"fields[]": "Name"}):
        assert shop.api.get(address, params=fields)["records"][0]["fields"].keys() == {"Name"}, fields


STEPS = [
    knows_who_asks,
    lists_bases,
    knows_every_field_type,
    knows_views,
    gives_cells_as_they_are,
    pages,
    views_filter_and_order,
    sorts,
    chooses_fields,
    gives_text_when_asked,
    gets_one,
    takes_names_and_ids_in_addresses,
]
