"""The formulas as plain Python functions over rows that are dicts; blanks are None.

hand.py ROWS_FILE FORMULA
"""

import re
from datetime import datetime, timedelta

from harness import measure

DAY = timedelta(days=1)
TEN_DAYS = timedelta(days=10)
CODE = re.compile(r"[A-Z]{3}-\d{4}", re.ASCII)  # match() anchors it at the start
STATUS = {"New": "1 new", "Open": "2 open", "Waiting": "3 waiting", "Review": "4 review", "Done": "5 done"}


def load(row):
    return {**row, "Start": datetime.fromisoformat(row["Start"]), "End": datetime.fromisoformat(row["End"])}


def arithmetic(row):
    return ((row["A"] or 0) * (row["B"] or 0) + (row["C"] or 0)) / 2


def comparison(row):
    return (row["A"] or 0) > (row["B"] or 0)


def nested_if(row):
    a = row["A"] or 0
    if a > 800:
        return "top"
    if a > 600:
        return "high"
    if a > 400:
        return "middle"
    if a > 200:
        return "low"
    if a > 0:
        return "least"
    return "none"


def text(row):
    name = row["Name"]
    if name is None:
        return ""
    at = name.find(" ")
    return name[:at] if at > 0 else ""


def switch(row):
    return STATUS.get(row["Status"], "other")


def date_format(row):
    start = row["Start"]
    return None if start is None else (start + TEN_DAYS).strftime("%Y-%m-%d %H:%M")


def date_diff(row):
    start, end = row["Start"], row["End"]
    # timedelta.days rounds down; the formula cuts towards zero.
    return None if start is None or end is None else int((end - start) / DAY)


def regex(row):
    code = row["Code"]
    return code is not None and CODE.match(code) is not None


def over(function):
    return lambda rows: (lambda: [function(row) for row in rows], None)


functions = (arithmetic, comparison, nested_if, text, switch, date_format, date_diff, regex)
measure("Python", load, {function.__name__: over(function) for function in functions})
