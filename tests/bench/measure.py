"""What the benchmark scripts share: building, bases, processes, and noting figures."""

import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PROGRAM = str(TARGET / "release" / "tablewright")
RUNS = int(os.environ.get("BENCH_RUNS", "5"))
rows = []


def note(what, figure, bar=""):
    rows.append((what, figure, bar))
    print(f"{what:64} {figure:28} {bar}", flush=True)


def print_table():
    """Everything noted, as a table for RESULTS.md."""
    print("\n| what | figure | bar |\n|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def build():
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=ROOT, check=True)
    listed = subprocess.run(
        ["cargo", "bench", "--locked", "--bench", "load", "--no-run", "--message-format=json"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()
    made = [json.loads(line) for line in listed if '"executable"' in line]
    return next(m["executable"] for m in made if m.get("target", {}).get("name") == "load" and m["executable"])


def identify(prefix, name):
    return prefix + name.replace(" ", "").ljust(14, "0")[:14]


def make_base(path, name, records, columns):
    """A base of one table with texts, numbers, dates, choices and ticks; about 170 bytes a row of ten."""
    rng = random.Random(7)
    kinds = [
        ("singleLineText", None, lambda n: f"Order {n:06}"),
        ("singleLineText", None, lambda n: rng.choice(["Oslo", "Lima", "Kyoto", "Accra"]) + f" depot {n % 97}"),
        ("number", {"precision": 0}, lambda n: n * 37 % 10007),
        ("currency", {"precision": 2, "symbol": "$"}, lambda n: round(n % 9973 * 1.07, 2)),
        ("date", {"dateFormat": {"name": "iso", "format": "YYYY-MM-DD"}}, lambda n: f"2026-{n % 12 + 1:02}-{n % 28 + 1:02}"),
        ("singleSelect", {"choices": [{"name": c} for c in ("new", "open", "done")]}, lambda n: ("new", "open", "done")[n % 3]),
        ("checkbox", {"icon": "check", "color": "greenBright"}, lambda n: n % 2 == 0),
        ("email", None, lambda n: f"user{n % 5000}@example.org"),
        ("dateTime", {"timeZone": "utc"}, lambda n: f"2026-03-{n % 28 + 1:02}T{n % 24:02}:30:00.000Z"),
        ("percent", {"precision": 0}, lambda n: n % 100 / 100),
    ]
    fields, makers = [], []
    for column in range(columns):
        kind, options, maker = kinds[column % len(kinds)]
        field = {"id": identify("fld", f"C{column:02}x"), "name": f"Field {column + 1}", "type": kind}
        if options:
            field["options"] = options
        fields.append(field)
        makers.append((field["name"], maker))
    table = {"id": identify("tbl", name), "name": "Orders", "primaryFieldId": fields[0]["id"], "fields": fields, "views": []}
    with open(path, "w") as out:
        out.write(json.dumps({"base": {"id": identify("app", name), "name": name}, "tables": [table]})[:-1])
        out.write(', "records": {"%s": [' % table["id"])
        for n in range(records):
            record = {"id": identify("rec", f"{n}x"), "createdTime": "2026-01-01T00:00:00.000Z",
                      "fields": {key: maker(n) for key, maker in makers}}
            out.write((",\n" if n else "") + json.dumps(record))
        out.write("]}}")


def memory(pid, what):
    """MiB of resident or anonymous memory."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024


def owner_of(data):
    return json.loads((data / "owner.lock").read_text())["pid"]


def stop_owner(data):
    try:
        pid = owner_of(data)
        os.kill(pid, signal.SIGTERM)
        while pathlib.Path(f"/proc/{pid}").exists():
            time.sleep(0.01)
    except (FileNotFoundError, ProcessLookupError):
        pass


def load(tool, *words):
    done = subprocess.run([tool, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def medians(measure):
    taken = [measure() for _ in range(RUNS)]
    return {key: statistics.median(run[key] for run in taken) for key in taken[0]}


def node_peers():
    """The folder with the peers from npm, installed."""
    peers = TARGET / "bench-peers"
    if not (peers / "node_modules").exists():
        peers.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "tests/bench/peers/package.json", peers)
        subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=peers, check=True)
    for script in ("leader.mjs", "fake_airtable.mjs"):
        shutil.copy(ROOT / "tests/bench/peers" / script, peers)
    return peers
