"""Making and changing bases, tables and fields, and what Airtable refuses there."""

from workshop import BASE, PARTS, refused

ISO = {"name": "iso", "format": "YYYY-MM-DD"}
CLOCK = {"name": "24hour", "format": "HH:mm"}
CHOICES = {"choices": [{"name": "a", "color": "redBright"}, {"name": "b"}]}
CREATABLE = {
    "singleLineText": None,
    "multilineText": None,
    "richText": None,
    "email": None,
    "url": None,
    "phoneNumber": None,
    "number": {"precision": 3},
    "currency": {"precision": 2, "symbol": "£"},
    "percent": {"precision": 0},
    "duration": {"durationFormat": "h:mm:ss"},
    "rating": {"icon": "heart", "color": "redBright", "max": 7},
    "checkbox": {"icon": "flag", "color": "blueBright"},
    "date": {"dateFormat": ISO},
    "dateTime": {"dateFormat": ISO, "timeFormat": CLOCK, "timeZone": "Europe/Amsterdam"},
    "singleSelect": CHOICES,
    "multipleSelects": CHOICES,
    "singleCollaborator": None,
    "multipleCollaborators": None,
    "multipleRecordLinks": {"linkedTableId": PARTS},
    "multipleAttachments": None,
    "barcode": None,
}
REFUSED = [
    "formula",
    "rollup",
    "multipleLookupValues",
    "count",
    "autoNumber",
    "createdTime",
    "createdBy",
    "lastModifiedTime",
    "lastModifiedBy",
    "button",
]


def makes_tables(shop):
    fields = [
        {"name": "Title", "type": "singleLineText", "description": "What it says"},
        {"name": "Score", "type": "number", "options": {"precision": 0}},
    ]
    table = shop.base.create_table("Brand / new", fields, description="Made by a client")
    schema = table.schema()
    assert schema.id.startswith("tbl") and schema.name == "Brand / new" and schema.description == "Made by a client"
    assert [(f.name, f.type, f.description) for f in schema.fields] == [
        ("Title", "singleLineText", "What it says"),
        ("Score", "number", None),
    ]
    assert schema.primary_field_id == schema.fields[0].id
    assert [view.type for view in schema.views] == ["grid"]
    assert table.create({"Title": "x", "Score": 2})["fields"] == {"Title": "x", "Score": 2}


def makes_fields_of_every_type(shop):
    table = shop.base.create_table("All types", [{"name": "Title", "type": "singleLineText"}])
    for kind, options in CREATABLE.items():
        field = table.create_field(f"A {kind}", kind, description=f"holds {kind}", options=options)
        assert field.id.startswith("fld") and (field.name, field.type) == (f"A {kind}", kind), field
        assert field.description == f"holds {kind}", field
    schema = shop.base.schema(force=True).table("All types")
    assert [field.type for field in schema.fields[1:]] == list(CREATABLE)
    at = schema.field("A dateTime").options
    assert (at.time_zone, at.date_format.format, at.time_format.format) == ("Europe/Amsterdam", "YYYY-MM-DD", "HH:mm")
    choices = schema.field("A singleSelect").options.choices
    assert [(c.name, c.color) for c in choices][0] == ("a", "redBright") and choices[1].id.startswith("sel"), choices
    assert schema.field("A rating").options.max == 7 and schema.field("A currency").options.symbol == "£"
    link = schema.field("A multipleRecordLinks")
    back = shop.base.schema().table("Parts").field(link.options.inverse_link_field_id)
    assert back.options.linked_table_id == schema.id and back.options.inverse_link_field_id == link.id
    record = table.create(
        {"A multipleRecordLinks": ["recPart0100000000"], "A dateTime": "2026-07-01T12:00", "A rating": 7}
    )
    assert record["fields"]["A dateTime"] == "2026-07-01T10:00:00.000Z", "read in the zone of the field"


def takes_table_names_in_addresses(shop):
    field = shop.suppliers.create_field("Site", "url")
    assert field.type == "url" and shop.suppliers.create({"Name": "x", "Site": "https://x.example"})["fields"]["Site"]


def renames_tables_and_fields(shop):
    table = shop.base.create_table("Before", [{"name": "First", "type": "singleLineText"}])
    schema = table.schema()
    schema.name, schema.description = "After", "Told"
    schema.save()
    assert (schema.name, schema.description, len(schema.fields)) == ("After", "Told", 1)
    field = schema.fields[0]
    field.name, field.description = "Second", "Told too"
    field.save()
    assert (field.name, field.description, field.type) == ("Second", "Told too", "singleLineText")
    again = shop.base.schema(force=True).table("After")
    assert (again.description, again.fields[0].name, again.fields[0].description) == ("Told", "Second", "Told too")
    assert shop.base.table("After").create({"Second": "x"})["fields"] == {"Second": "x"}


def changes_formulas(shop):
    field = shop.base.schema(force=True).table("Parts").field("Total")
    body = {"options": {"formula": "{Quantity} + {fldPPrice00000000}"}}
    told = shop.api.patch(field._url, json=body)
    assert told["options"]["formula"] == "{fldPQuantity00000} + {fldPPrice00000000}" and told["options"]["isValid"], (
        told
    )
    assert shop.parts.get("recPart0400000000")["fields"]["Total"] == 10


def makes_bases(shop):
    tables = [
        {
            "name": "Only",
            "description": "The only one",
            "fields": [
                {"name": "Name", "type": "singleLineText"},
                {"name": "State", "type": "singleSelect", "options": {"choices": [{"name": "open"}]}},
            ],
        }
    ]
    workspace = shop.base.collaborators().workspace_id
    base = shop.api.workspace(workspace).create_base("Made by a client", tables)
    assert base.id.startswith("app") and base.name == "Made by a client"
    assert {b.name for b in shop.api.bases(force=True)} == {"Workshop", "Made by a client"}
    assert base.schema().table("Only").description == "The only one"
    assert base.table("Only").create({"Name": "x", "State": "open"})["fields"] == {"Name": "x", "State": "open"}
    assert shop.api.create_base(workspace, "Another", tables).schema().tables[0].name == "Only"


def refuses_computed_fields(shop):
    for kind in REFUSED:
        refused(
            lambda: shop.parts.create_field(f"A {kind}", kind, options={"formula": "1"} if kind == "formula" else None),
            422,
            ("UNSUPPORTED_FIELD_TYPE_FOR_CREATE", "not supported"),
        )
    fields = [
        {"name": "Name", "type": "singleLineText"},
        {"name": "Sum", "type": "formula", "options": {"formula": "1"}},
    ]
    refused(lambda: shop.base.create_table("Computed", fields), 422, ("UNSUPPORTED_FIELD_TYPE_FOR_CREATE", "ormula"))
    assert "Computed" not in {table.name for table in shop.base.schema(force=True).tables}


def refuses_names_in_use(shop):
    text = [{"name": "Name", "type": "singleLineText"}]
    refused(lambda: shop.base.create_table("parts", text), 422, ("DUPLICATE_TABLE_NAME", "."))
    refused(
        lambda: shop.parts.create_field("quantity", "number", options={"precision": 0}),
        422,
        ("DUPLICATE_OR_EMPTY_FIELD_NAME", "."),
    )
    field = shop.parts.urls.fields
    refused(
        lambda: shop.api.post(field, json={"name": "", "type": "singleLineText"}),
        422,
        ("DUPLICATE_OR_EMPTY_FIELD_NAME", "."),
    )
    refused(lambda: shop.base.create_table("Twice", text * 2), 422, ("DUPLICATE_OR_EMPTY_FIELD_NAME", "."))


def refuses_bad_options(shop):
    wrong = [
        ("number", {"precision": 9}),
        ("currency", {"precision": 8, "symbol": "$"}),
        ("rating", {"icon": "star", "color": "yellowBright", "max": 11}),
        ("singleSelect", {"choices": [{"name": "a"}, {"name": "a"}]}),
        ("dateTime", {"dateFormat": ISO, "timeFormat": CLOCK, "timeZone": "Mars/Olympus"}),
        ("date", {"dateFormat": {"name": "iso", "format": "D/M/YYYY"}}),
        ("multipleRecordLinks", {"linkedTableId": "tblNone0000000000"}),
        ("nonsense", None),
    ]
    for kind, options in wrong:
        refused(lambda: shop.parts.create_field("Wrong", kind, options=options), 422, None)
    refused(lambda: shop.base.create_table("Empty", []), 422, None)
    field = shop.base.schema(force=True).table("Parts").field("Quantity")
    refused(lambda: shop.api.patch(field._url, json={}), 422, None)
    refused(lambda: shop.api.patch(field._url, json={"type": "singleLineText"}), 422, None)


def has_no_way_to_delete_schema(shop):
    table = shop.base.schema().table("Parts")
    for address in (table._url, table.fields[5]._url):
        refused(lambda: shop.api.delete(address), 404, "NOT_FOUND")
    assert shop.api.base(BASE).schema().table("Parts").fields[5].name == "Phone"


STEPS = [
    makes_tables,
    makes_fields_of_every_type,
    takes_table_names_in_addresses,
    renames_tables_and_fields,
    changes_formulas,
    makes_bases,
    refuses_computed_fields,
    refuses_names_in_use,
    refuses_bad_options,
    has_no_way_to_delete_schema,
]
