"""Writes to the harbour of the tests through pyairtable, at most two requests a second.

harbour_pyairtable.py http://HOST:PORT ROUNDS
The token comes from AIRTABLE_API_KEY. Nothing is tried again: one refusal fails it. Prints what
the records it wrote should be, as JSON: notes by key.
"""

import json
import os
import sys
import time

from pyairtable import Api

BASE, SHIPMENTS = "appHarbour0000000", "tblShipments00000"
# A little more than half a second, so that no second sees a third request.
PACE = 0.53


class Slow:
    """Calls a function at the pace."""

    def __init__(self):
        self.next = 0.0

    def __call__(self, act, *words, **more):
        time.sleep(max(0.0, self.next - time.monotonic()))
        try:
            return act(*words, **more)
        finally:
            self.next = time.monotonic() + PACE


def main():
    endpoint, rounds = sys.argv[1], int(sys.argv[2])
    table = Api(os.environ["AIRTABLE_API_KEY"], endpoint_url=endpoint, retry_strategy=None).table(BASE, SHIPMENTS)
    slowly, notes, ids = Slow(), {}, {}

    def said(records):
        for record in records:
            key = record["fields"]["Key"]
            notes[key], ids[key] = record["fields"]["Note"], record["id"]

    for n in range(rounds):
        said([slowly(table.create, {"Key": f"py {n:03}", "Note": "one", "Weight": n})])
        rows = [{"Key": f"py {n:03} {letter}", "Note": "several", "Weight": n} for letter in "abcdefg"]
        said(slowly(table.batch_create, rows))
        said([slowly(table.update, ids[f"py {n:03}"], {"Note": "changed"})])
        merged = [{"fields": {"Key": f"py {n:03} {letter}", "Note": "merged"}} for letter in "ghi"]
        said(slowly(table.batch_upsert, merged, key_fields=["Key"])["records"])
        gone = f"py {n:03} b"
        slowly(table.delete, ids[gone])
        del notes[gone]
    print(json.dumps(notes))


main()
