"""What the scripts here share: stable ids and the writing of base files."""

import hashlib
import json
import pathlib

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
HERE = pathlib.Path(__file__).resolve().parent.parent


def make_id(prefix, *parts):
    """The same id for the same words, every time."""
    number = int.from_bytes(hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()[:14], "big")
    digits = []
    for _ in range(14):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return prefix + "".join(digits)


class Base:
    """A base under construction. Tables and fields go by their names."""

    def __init__(self, name):
        self.name = name
        self.id = make_id("app", name)
        self.tables = []
        self.records = {}
        self.comments = {}

    def table_id(self, table):
        return make_id("tbl", self.name, table)

    def field_id(self, table, field):
        return make_id("fld", self.name, table, field)

    def record_id(self, table, key):
        return make_id("rec", self.name, table, key)

    def table(self, name, fields, description=None, views=()):
        """`fields` are (name, type) or (name, type, options[, description])."""
        made = []
        for field in fields:
            entry = {"id": self.field_id(name, field[0]), "name": field[0], "type": field[1]}
            if len(field) > 3:
                entry["description"] = field[3]
            if len(field) > 2 and field[2] is not None:
                options = dict(field[2])
                if "choices" in options:
                    options["choices"] = [
                        {"id": make_id("sel", self.name, name, field[0], choice), "name": choice}
                        for choice in options["choices"]
                    ]
                entry["options"] = options
            made.append(entry)
        grid = {"id": make_id("viw", self.name, name, "Grid view"), "name": "Grid view", "type": "grid"}
        table = {"id": self.table_id(name), "name": name, "primaryFieldId": made[0]["id"], "fields": made}
        if description:
            table["description"] = description
        table["views"] = [grid, *views]
        self.tables.append(table)
        self.records[name] = []

    def link(self, table, field, other, inverse, single=False):
        """The options of a link field whose other side is `inverse` of `other`."""
        return {
            "linkedTableId": self.table_id(other),
            "isReversed": False,
            "prefersSingleRecordLink": single,
            "inverseLinkFieldId": self.field_id(other, inverse),
        }

    def add(self, table, key, created, fields):
        """Adds a record; blanks are left out."""
        kept = {name: value for name, value in fields.items() if value not in (None, "", [], False)}
        record = {"id": self.record_id(table, key), "createdTime": created, "fields": kept}
        self.records[table].append(record)
        return record["id"]

    def write(self, file):
        out = ['{"base":' + json.dumps({"id": self.id, "name": self.name}), ',"tables":' + compact(self.tables)]
        out.append(',"records":{')
        for n, (table, records) in enumerate(self.records.items()):
            out.append(("," if n else "") + '"' + self.table_id(table) + '":[')
            out.append(",\n".join(compact(record) for record in records))
            out.append("]")
        out.append("}")
        if self.comments:
            out.append(',"comments":' + compact(self.comments))
        out.append("}\n")
        text = "\n".join(out)
        (HERE / file).write_text(text, encoding="utf-8")
        counts = ", ".join(f"{table} {len(records)}" for table, records in self.records.items())
        print(f"{file}: {len(text.encode()):,} bytes; {counts}")


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
