"""Records as objects of pyairtable's ORM, with a field of every type."""

from datetime import date, datetime, timedelta, timezone

from listener import listening
from pyairtable.exceptions import MissingRecordError
from pyairtable.orm import Model
from pyairtable.orm import fields as F
from workshop import BASE, PARTS, SUPPLIERS, part, until


class Supplier(Model):
    name = F.SingleLineTextField("Name")
    city = F.TextField("City")
    score = F.IntegerField("Score")
    parts = F.LinkField("Parts", "orm.Part")

    class Meta:
        api_key = "set by main"
        base_id = BASE
        table_name = SUPPLIERS
        typecast = False


class Part(Model):
    name = F.SingleLineTextField("Name")
    notes = F.MultilineTextField("Notes")
    story = F.RichTextField("Story")
    mail = F.EmailField("Mail")
    page = F.UrlField("Page")
    phone = F.PhoneNumberField("Phone")
    quantity = F.IntegerField("Quantity")
    weight = F.NumberField("Weight")
    price = F.CurrencyField("Price")
    discount = F.PercentField("Discount")
    build_time = F.DurationField("Build time")
    grade = F.RatingField("Grade")
    in_stock = F.CheckboxField("In stock")
    ordered = F.DateField("Ordered")
    checked_at = F.DatetimeField("Checked at")
    status = F.SelectField("Status")
    labels = F.MultipleSelectField("Labels")
    owner = F.CollaboratorField("Owner")
    crew = F.MultipleCollaboratorsField("Crew")
    supplier = F.LinkField("Supplier", Supplier)
    files = F.AttachmentsField("Files")
    code = F.BarcodeField("Code")
    total = F.NumberField("Total", readonly=True)
    supplier_city = F.LookupField[str]("Supplier city")
    best_score = F.IntegerField("Best score", readonly=True)
    suppliers = F.CountField("Suppliers")
    number = F.AutoNumberField("Number")
    made = F.CreatedTimeField("Made")
    changed = F.LastModifiedTimeField("Changed")
    made_by = F.CreatedByField("Made by")
    changed_by = F.LastModifiedByField("Changed by")
    open = F.ButtonField("Open")
    summary = F.AITextField("Summary")
    source = F.ExternalSyncSourceField("Source")

    class Meta:
        api_key = "set by main"
        base_id = BASE
        table_name = "Parts"
        typecast = False


class ById(Model):
    name = F.SingleLineTextField("fldPName000000000")
    quantity = F.IntegerField("fldPQuantity00000")

    class Meta:
        api_key = "set by main"
        base_id = BASE
        table_name = PARTS
        use_field_ids = True


def reads_every_type(shop):
    for model in (Supplier, Part, ById):
        model.meta.api = shop.api
    thing = Part.from_id(part(1))
    assert (thing.name, thing.notes, thing.story) == ("Part 01", "two\nlines", "**bold**\n")
    assert (thing.mail, thing.page, thing.phone) == ("part@example.org", "https://parts.example/1", "+31 20 123 4567")
    assert (thing.quantity, thing.weight, thing.price, thing.discount) == (1, 1.25, 1.5, 0.125)
    assert (thing.build_time, thing.grade, thing.in_stock) == (timedelta(hours=1, minutes=30), 4, True)
    assert (thing.ordered, thing.checked_at) == (date(2026, 1, 1), datetime(2026, 3, 1, 8, 15, tzinfo=timezone.utc))
    assert (thing.status, list(thing.labels), thing.code) == (
        "doing",
        ["small", "rare"],
        {"text": "0012345", "type": "upce"},
    )
    assert thing.owner["email"] == "ada@example.org" and [person["name"] for person in thing.crew] == ["Ada", "Bo"]
    assert [supplier.city for supplier in thing.supplier] == ["Oslo", "Lyon"], "linked records are fetched by formula"
    assert (list(thing.supplier_city), thing.best_score, thing.suppliers) == (["Oslo", "Lyon"], 9, 2)
    assert (thing.total, thing.number, thing.source) == (1.5, 1, "warehouse")
    assert thing.made == thing.created_time == datetime(2026, 2, 1, 0, 1, tzinfo=timezone.utc)
    assert thing.open == {"label": "Open", "url": "https://parts.example/1"} and thing.summary["value"] == "A part"
    assert list(thing.files) == []


def reads_empty_ones(shop):
    thing = Part.from_id(part(31))
    assert (thing.name, thing.quantity, thing.in_stock, thing.status) == ("", None, False, None)
    assert list(thing.labels) == [] and list(thing.supplier) == [] and thing.suppliers == 0


def saves_every_type(shop):
    me = shop.api.whoami()
    nord = Supplier.from_id("recSupNord0000000")
    with listening() as web:
        web.files["/sheet.csv"] = ("text/csv", b"a\n")
        thing = Part(
            name="Made by the ORM",
            notes="n",
            story="*s*",
            mail="x@example.org",
            page="https://x.example",
            phone="1",
            quantity=3,
            weight=0.5,
            price=2,
            discount=0.5,
            build_time=timedelta(minutes=5),
            grade=2,
            in_stock=True,
            ordered=date(2026, 5, 6),
            checked_at=datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone.utc),
            status="done",
            labels=["heavy"],
            owner={"id": me["id"]},
            crew=[{"email": "ada@example.org"}],
            supplier=[nord],
            files=[{"url": web.address("/sheet.csv")}],
            code={"text": "77"},
        )
        result = thing.save()
        assert result.created and thing.exists(), result
        until(lambda: shop.parts.get(thing.id)["fields"]["Files"][0].get("size") == 2, "the file")
    again = Part.from_id(thing.id)
    for name in (
        "name",
        "notes",
        "mail",
        "page",
        "phone",
        "quantity",
        "weight",
        "price",
        "discount",
        "build_time",
        "grade",
    ):
        assert getattr(again, name) == getattr(thing, name), name
    assert again.story.strip() == "*s*"
    assert (again.in_stock, again.ordered, again.checked_at) == (True, thing.ordered, thing.checked_at)
    assert (again.status, list(again.labels), again.code) == ("done", ["heavy"], {"text": "77"})
    assert again.owner["id"] == me["id"] and again.crew[0]["email"] == "ada@example.org"
    assert (again.total, list(again.supplier_city), again.best_score, again.suppliers) == (6, ["Oslo"], 7, 1)
    assert again.files[0]["filename"] == "sheet.csv" and again.made_by["id"] == me["id"]
    assert thing.id in [linked.id for linked in Supplier.from_id(nord.id).parts]


def saves_only_changes(shop):
    thing = Part.from_id(part(2))
    assert not thing.save().saved, "nothing changed"
    thing.labels.append("small")
    thing.quantity = 22
    result = thing.save()
    assert result.updated and result.field_names == {"Labels", "Quantity"}, result
    fields = shop.parts.get(part(2))["fields"]
    assert fields["Labels"] == ["heavy", "small"] and fields["Quantity"] == 22 and fields["Name"] == "Part 02"
    thing.fetch()
    assert thing.total == 66 and thing.changed_by["id"] == shop.api.whoami()["id"]
    thing.status = None
    thing.save()
    assert "Status" not in shop.parts.get(part(2))["fields"]


def finds(shop):
    assert Part.first(sort=["-Quantity"]).name == "Part 30"
    assert [thing.number for thing in Part.all(formula=Part.quantity.gte(29), sort=["Number"])] == [29, 30]
    assert [thing.name for thing in Part.all(formula=Part.name.eq("Part 07"))] == ["Part 07"]
    assert Part.first(formula=Part.name.eq("none")) is None
    some = Part.from_ids([part(9), part(7), part(8)])
    assert [thing.name for thing in some] == ["Part 09", "Part 07", "Part 08"]
    try:
        Part.from_ids([part(9), "recNone0000000000"])
    except MissingRecordError:
        pass
    else:
        raise AssertionError("a record that is not there")
    assert len(Part.all(view="In stock by price", max_records=3)) == 3


def works_by_field_id(shop):
    thing = ById.from_id(part(5))
    assert (thing.name, thing.quantity) == ("Part 05", 5)
    thing.quantity = 55
    thing.save()
    assert ById.from_id(part(5)).quantity == 55
    assert ById.first(formula=ById.quantity.eq(55)).name == "Part 05"


def saves_and_deletes_many(shop):
    things = [Part(name=f"Many {n}") for n in range(12)]
    Part.batch_save(things)
    assert all(thing.exists() for thing in things)
    suppliers = [Supplier(name=f"Bulk {n}", score=n) for n in range(11)]
    Supplier.batch_save(suppliers)
    for supplier in suppliers:
        supplier.city = "Here"
    Supplier.batch_save(suppliers)
    assert len(Supplier.all(formula="{City} = 'Here'")) == 11
    Supplier.batch_delete(suppliers)
    assert Supplier.all(formula="{City} = 'Here'") == []
    assert things[0].delete()
    Part.batch_delete(things[1:])
    assert Part.all(formula="FIND('Many', {Name})") == []


def comments(shop):
    thing = Part.from_id(part(10))
    thing.add_comment("From the ORM")
    (comment,) = thing.comments()
    assert comment.text == "From the ORM"


STEPS = [
    reads_every_type,
    reads_empty_ones,
    saves_every_type,
    saves_only_changes,
    finds,
    works_by_field_id,
    saves_and_deletes_many,
    comments,
]
