"""filterByFormula as pyairtable writes formulas, and lists by POST when they are long."""

from datetime import date, datetime, timezone

from pyairtable import formulas as f
from workshop import part


def quantities(shop, formula, **options):
    return sorted(r["fields"].get("Quantity", 0) for r in shop.parts.all(formula=formula, **options))


def finds_by_value(shop):
    assert quantities(shop, f.match({"Name": "Part 07"})) == [7]
    assert quantities(shop, f.match({"Status": "todo", "In stock": True})) == [3, 9, 15, 21, 27]
    assert quantities(shop, f.match({"Name": "Part 07", "Quantity": 8}, match_any=True)) == [7, 8]
    assert quantities(shop, f.match({"Quantity": (">=", 29)})) == [29, 30]
    assert quantities(shop, "{Name} = BLANK()") == [0]
    assert quantities(shop, "{fldPQuantity00000} = 4") == [4]


def compares(shop):
    quantity = f.Field("Quantity")
    assert quantities(shop, quantity.gt(27) & quantity.lte(29)) == [28, 29]
    assert quantities(shop, quantity.eq(1) | quantity.eq(3)) == [1, 3]
    assert quantities(shop, f.AND(quantity.gte(2), ~quantity.gt(3))) == [2, 3]
    assert quantities(shop, f.XOR(quantity.lt(3), quantity.lt(5))) == [3, 4]
    assert quantities(shop, f.AND(quantity.ne(30), quantity.gt(28))) == [29]
    assert quantities(shop, "AND({In stock}, {Quantity} < 4)") == [1, 3]
    assert quantities(shop, "AND({In stock} = TRUE(), {Quantity} < 4)") == [1, 3]
    assert quantities(shop, "AND({In stock} = 1, {Quantity} < 4)") == [1, 3]
    assert quantities(shop, "AND(NOT({In stock}), {Quantity} < 4, {Quantity})") == [2]


def finds_by_time(shop):
    at = datetime(2026, 3, 1, 8, 15, tzinfo=timezone.utc)
    assert quantities(shop, f.match({"Checked at": at})) == [1]
    assert quantities(shop, f.match({"Checked at": at.replace(microsecond=1000)})) == []
    assert quantities(shop, f.match({"Ordered": date(2026, 1, 5)})) == [5]
    assert quantities(shop, f.Field("Ordered").gt(date(2026, 1, 28))) == [29, 30]
    assert quantities(shop, f.IS_SAME(f.Field("Ordered"), date(2026, 1, 9), "day")) == [9]
    assert quantities(shop, f.FIND("2026-03-01", f.Field("Checked at"))) == [1]


def finds_in_lists_links_and_people(shop):
    assert quantities(shop, "FIND('Nord AB', {Supplier})") == [1, 3, 6, 9, 12]
    assert quantities(shop, "FIND('heavy', ARRAYJOIN({Labels}, '|'))") == [2]
    assert quantities(shop, "{Labels} = 'small, rare'") == [1]
    assert quantities(shop, "{Owner} = 'Ada'") == [1]
    assert quantities(shop, "{Supplier city} = 'Brest'") == [2, 5, 8, 11]
    assert quantities(shop, "{Best score} = 7") == [3, 6, 9, 12]
    assert quantities(shop, f.EQ(f.RECORD_ID(), part(6))) == [6]


def quotes(shop):
    found = shop.suppliers.all(formula=f.match({"Name": 'L\'Atelier "Sud"'}))
    assert [record["id"] for record in found] == ["recSupSud00000000"]
    hard = 'it\'s \\ a "name" {with} +all % & = ? #'
    made = shop.suppliers.create({"Name": hard})
    found = shop.suppliers.all(formula=f.match({"Name": hard}))
    assert [record["id"] for record in found] == [made["id"]], found
    shop.suppliers.delete(made["id"])


def long_formulas_go_by_post(shop):
    numbers = range(1, 29)
    formula = f.OR(*(f.EQ(f.RECORD_ID(), part(n)) for n in numbers for _ in range(24)))
    options = {
        "formula": formula,
        "page_size": 10,
        "sort": ["-Quantity"],
        "fields": ["Name", "Quantity"],
        "cell_format": "string",
        "time_zone": "Europe/Amsterdam",
        "user_locale": "en-gb",
        "count_comments": True,
    }
    pages, sent = shop.sent(lambda: list(shop.parts.iterate(**options)))
    assert [len(page) for page in pages] == [10, 10, 8]
    assert [method for method, _ in sent] == ["POST"] * 3, sent
    assert all("/listRecords?" in address and "timeZone=Europe%2FAmsterdam" in address for _, address in sent), sent
    assert [r["fields"]["Quantity"] for page in pages for r in page] == [str(n) for n in reversed(numbers)]
    by_id = shop.parts.all(formula=formula, use_field_ids=True, max_records=3, view="In stock by price")
    assert [r["fields"]["fldPQuantity00000"] for r in by_id] == [27, 25, 23]
    body = {"offset": "", "method": "post", "timeZone": "utc", "userLocale": "en", "maxRecords": 2}
    assert len(shop.api.post(shop.parts.urls.records_post, json=body)["records"]) == 2


STEPS = [finds_by_value, compares, finds_by_time, finds_in_lists_links_and_people, quotes, long_formulas_go_by_post]
