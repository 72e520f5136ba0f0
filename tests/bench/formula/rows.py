#!/usr/bin/env python3
"""Makes the rows of the formula benchmark: base.json for tablewright, rows.json for the peers.

rows.py FOLDER [COUNT]; the same count gives the same bytes.
"""

import json
import pathlib
import random
import sys
from datetime import datetime, timedelta

NAMES = ["A", "B", "C", "Name", "Code", "Status", "Start", "End"]
STATUSES = ["New", "Open", "Waiting", "Review", "Done", "Dropped"]
FIRST = ["Al", "Bo", "Ida", "Noor", "Chiara", "Wilhelm", "Annabelle", "Maximiliana"]
LAST = ["Li", "Roy", "Okafor", "Andersen", "Montgomery", "van der Berg", "Papadopoulos", "Castellanos-Quintero"]
SERIES = ["INV", "ORD", "QT", "CRN", "inv", "REF"]
LANDS = ["DE", "NO", "PE", "JP", "GH"]
FROM = datetime(2019, 1, 1)
SECONDS = int((datetime(2027, 1, 1) - FROM).total_seconds())
DAY = 86400


def number(rng, top):
    # One in fifty is blank: enough that every peer has to handle it.
    return None if rng.random() < 0.02 else rng.randrange(top * 100) / 100


def make(count):
    """Rows as lists in the order of NAMES."""
    rng = random.Random(20)
    made = []
    for _ in range(count):
        start = rng.randrange(SECONDS)
        end = rng.randrange(SECONDS)
        # Spreadsheets hold times as fractions of a day, in which a whole number of days
        # may come out a hair short; not the thing measured, so it does not occur.
        if (end - start) % DAY == 0:
            end += 1 if end < SECONDS - 1 else -1
        made.append([
            number(rng, 1000), number(rng, 1000), number(rng, 100),
            f"{rng.choice(FIRST)} {rng.choice(LAST)}",
            f"{rng.choice(SERIES)}-{rng.randrange(10000):04}-{rng.choice(LANDS)}",
            rng.choice(STATUSES),
            instant(start), instant(end),
        ])
    return made


def instant(seconds):
    return (FROM + timedelta(seconds=seconds)).isoformat() + ".000Z"


def identify(prefix, name):
    return prefix + name.ljust(14, "0")


def fields():
    two = {"precision": 2}
    time = {"dateFormat": {"name": "iso", "format": "YYYY-MM-DD"},
            "timeFormat": {"name": "24hour", "format": "HH:mm"}, "timeZone": "utc"}
    kinds = {
        "Name": ("singleLineText", None),
        "A": ("number", two), "B": ("number", two), "C": ("number", two),
        "Code": ("singleLineText", None),
        "Status": ("singleSelect", {"choices": [{"name": name} for name in STATUSES]}),
        "Start": ("dateTime", time), "End": ("dateTime", time),
    }
    for name, (kind, options) in kinds.items():
        field = {"id": identify("fld", name), "name": name, "type": kind}
        yield {**field, "options": options} if options else field


def write_base(path, made):
    table = {"id": identify("tbl", "Rows"), "name": "Rows", "primaryFieldId": identify("fld", "Name"),
             "fields": list(fields()), "views": []}
    with open(path, "w") as out:
        out.write(json.dumps({"base": {"id": identify("app", "Formulas"), "name": "Formulas"}, "tables": [table]})[:-1])
        out.write(', "records": {"%s": [' % table["id"])
        for n, row in enumerate(made):
            cells = {name: value for name, value in zip(NAMES, row) if value is not None}
            record = {"id": f"rec{n:014}", "createdTime": "2026-01-01T00:00:00.000Z", "fields": cells}
            out.write((",\n" if n else "") + json.dumps(record))
        out.write("]}}")


def write_rows(path, made):
    with open(path, "w") as out:
        out.write("[\n" + ",\n".join(json.dumps(dict(zip(NAMES, row))) for row in made) + "\n]")


def main(folder, count="100000"):
    made = make(int(count))
    write_base(pathlib.Path(folder) / "base.json", made)
    write_rows(pathlib.Path(folder) / "rows.json", made)


if __name__ == "__main__":
    main(*sys.argv[1:])
