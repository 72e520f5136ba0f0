"""Uses a server through pyairtable; fails at the first answer that is not as it should be.

rest_pyairtable SECTION http://HOST:PORT
The token comes from TABLEWRIGHT_TOKEN; the base is the one of tests/fixtures/workshop.json.
"""

import importlib
import os
import sys

from workshop import Workshop

SECTIONS = [
    "reads",
    "formulas",
    "writes",
    "upserts",
    "comments",
    "attachments",
    "webhooks",
    "schema",
    "orm",
    "errors",
    "limits",
]


def main():
    section, endpoint = sys.argv[1:]
    if section not in SECTIONS:
        sys.exit(f"{section} is none of {', '.join(SECTIONS)}")
    workshop = Workshop(endpoint, os.environ["TABLEWRIGHT_TOKEN"])
    steps = importlib.import_module(section).STEPS
    for step in steps:
        try:
            step(workshop)
        except BaseException:
            print(f"{section}: {step.__name__} failed", file=sys.stderr)
            raise
    print(f"{section}: {len(steps)} steps passed")


main()
