#!/usr/bin/env python3
"""A tour of careful writes: look first, have a person approve, carry out, look back, take back.

Needs `tablewright` on the path. Works on a copy of a sales base in a folder of its own, which it
removes. An agent speaks MCP over pipes; a person uses the command line.
"""

import json
import os
import pathlib
import subprocess
import tempfile

BASE = pathlib.Path(__file__).resolve().parent.parent / "bases" / "sales.json"
RULES = """
[approval]
wait_seconds = 0

[[approval.rules]]
when = ["delete"]
ask = "person"
"""


def person(folder, *words):
    """A person types a command; what it prints."""
    done = subprocess.run(["tablewright", *words, "--data-dir", folder], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"tablewright {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


class Agent:
    """An MCP client."""

    def __init__(self, folder):
        words = ["serve", "--allow-write", "--allow-delete", "--toolsets", "default,changes", "--data-dir", folder]
        self.process = subprocess.Popen(["tablewright", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.number = 0
        client = {"name": "tour", "version": "1"}
        self.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client})

    def ask(self, method, params):
        self.number += 1
        message = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer.get("id") == self.number:
                return answer["result"]
        raise SystemExit("the server ended")

    def call(self, tool, **arguments):
        """What a tool answers: its structured result, or its text."""
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        return result.get("structuredContent") or result["content"][0]["text"]

    def count(self, table):
        answer = self.call("list_records", base="Sales", table=table, format="json", limit=1)
        return answer["total"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def say(text):
    print(text, flush=True)


def tour(folder):
    os.environ["TABLEWRIGHT_CONFIG"] = str(pathlib.Path(folder) / "settings.toml")
    pathlib.Path(os.environ["TABLEWRIGHT_CONFIG"]).write_text(RULES)
    person(folder, "base", "import", str(BASE))
    agent = Agent(folder)
    before = agent.count("Activities")
    rows = agent.call("list_records", base="Sales", table="Activities", format="json", limit=3)
    gone = [record["id"] for record in rows["records"]]

    say(f"1. {before} activities. The agent looks at what deleting three of them would do:")
    plan = agent.call("delete_records", base="Sales", table="Activities", records=gone, dry_run=True)["plan"]
    say(f"   {plan['summary']}")
    for warning in plan.get("warnings", []):
        say(f"   warning: {warning}")

    say("2. It tries. A rule says that a person has to approve:")
    refused = agent.call("delete_records", base="Sales", table="Activities", records=gone)
    say(f"   {refused.split(':')[0]}, and there are {agent.count('Activities')} activities")

    say("3. A person looks and approves:")
    (waiting,) = json.loads(person(folder, "plan", "list", "--json"))
    person(folder, "plan", "approve", waiting["id"], "--note", "duplicates")
    say(f"   {json.loads(person(folder, 'plan', 'show', waiting['id'], '--json'))['standing']}")

    say("4. The same call again carries the plan out:")
    done = agent.call("delete_records", base="Sales", table="Activities", records=gone)
    say(f"   {done['count']} records deleted, {agent.count('Activities')} are left")

    say("5. The journal knows:")
    history = agent.call("get_record_history", base="Sales", table="Activities", record=gone[0])
    last = history["changes"][0]
    say(f"   {last['change']} by {last['by']} with {last['tool']}")

    say("6. The agent takes it back:")
    undone = agent.call("undo_changes", base="Sales", changes=[done["change"]])
    say(f"   {undone['restored']} records restored, and there are {agent.count('Activities')} activities")
    say("7. And nothing of it can be changed unnoticed:")
    say(f"   {person(folder, 'audit', 'verify').splitlines()[0].split(' ', 1)[1]}")
    agent.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        tour(folder)
