"""Times one formula over all rows, for the peers written in Python."""

import hashlib
import json
import statistics
import sys
import time

FEWER = 20_000
PASSES = 5
LONGEST = 10  # seconds a pass may take before fewer rows are used
WARM = 0.5  # seconds of passes before the ones that count


def text_of(value):
    """One spelling per result in every language, so that the digests of peers compare."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if str(value) in ("True", "False"):
        return str(value).lower()
    return f"{float(value) + 0.0:.6f}"


def timed(work):
    started = time.perf_counter()
    results = work()
    return time.perf_counter() - started, results


def warm(work):
    until = time.perf_counter() + WARM
    while True:
        done = timed(work)
        if time.perf_counter() > until:
            return done


def measure(peer, load, makers):
    """ROWS_FILE FORMULA on the command line; makers[FORMULA](rows) gives (pass, note).

    A pass is a function without arguments that returns every result in a list or array.
    """
    path, formula = sys.argv[1:3]
    with open(path) as file:
        rows = [load(row) for row in json.load(file)]
    first, note = makers[formula](rows[:FEWER])
    taken, results = warm(first)
    texts = [text_of(value) for value in results]
    if taken * len(rows) / len(texts) > LONGEST:
        rows = rows[:FEWER]
    work, note = makers[formula](rows)
    warm(work)
    rates = []
    for _ in range(PASSES):
        taken, results = timed(work)
        assert len(results) == len(rows)
        rates.append(len(rows) / taken)
    line = {"peer": peer, "formula": formula, "rowsPerSecond": round(statistics.median(rates)), "rows": len(rows),
            "first": texts[:3], "digest": hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]}
    print(json.dumps({**line, "note": note} if note else line), flush=True)
