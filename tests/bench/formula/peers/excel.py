"""The formulas in `formulas`, an Excel formula engine for Python.

excel.py ROWS_FILE FORMULA

Each formula is compiled once and called with whole columns as arrays, which the package maps
over their elements; calling it row by row is slower by far. Times are Excel's serial days,
made while loading, and blanks are the package's own EMPTY.
"""

from datetime import datetime, timedelta

import formulas
import numpy
import schedula
from harness import measure

EPOCH = datetime.fromisoformat("1899-12-30T00:00:00Z")
DAY = timedelta(days=1)

# Columns are named in the order the formula's letters first appear.
FORMULAS = {
    "arithmetic": ("=(A1*B1+C1)/2", ["A", "B", "C"], None),
    "comparison": ("=A1>B1", ["A", "B"], None),
    "nested_if": ('=IF(A1>800,"top",IF(A1>600,"high",IF(A1>400,"middle",IF(A1>200,"low",IF(A1>0,"least","none")))))',
                  ["A"], None),
    "text": ('=LEFT(A1,FIND(" ",A1)-1)', ["Name"], None),
    "switch": ('=SWITCH(A1,"New","1 new","Open","2 open","Waiting","3 waiting","Review","4 review",'
               '"Done","5 done","other")', ["Status"], None),
    "date_format": ('=TEXT(A1+10,"yyyy-mm-dd hh:mm")', ["Start"], "TEXT of serial day + 10"),
    "date_diff": ("=TRUNC(A1-B1)", ["End", "Start"], "TRUNC of the difference of serial days"),
    "regex": (r'=REGEXTEST(A1,"^[A-Z]{3}-\d{4}")', ["Code"], "REGEXTEST"),
}


def load(row):
    for name in ("Start", "End"):
        row[name] = (datetime.fromisoformat(row[name]) - EPOCH) / DAY
    return row


def column(rows, name):
    made = numpy.empty((len(rows), 1), dtype=object)
    made[:, 0] = [schedula.EMPTY if row[name] is None else row[name] for row in rows]
    return made


def maker(formula, names, note):
    def make(rows):
        function = formulas.Parser().ast(formula)[1].compile()
        assert list(function.inputs) == ["A1", "B1", "C1"][:len(names)], list(function.inputs)
        columns = [column(rows, name) for name in names]
        return lambda: numpy.ravel(function(*columns)), note
    return make


measure("formulas", load, {key: maker(*parts) for key, parts in FORMULAS.items()})
