"""Uses resources, prompts, completion, subscriptions, progress and cancellation with the Python SDK.

mcp_surface.py --mode legacy|2026-07-28|auto (stdio COMMAND ... | http URL | sse URL)
The token for HTTP comes from TABLEWRIGHT_TOKEN; the base is the one of tests/fixtures/workshop.json.
"""

import argparse
import asyncio
import json
import os
import sys
import warnings

import anyio
import httpx2
import mcp_types as types
from mcp import Client, MCPDeprecationWarning, MCPError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

BASE = "appWorkshop000000"
PARTS = {"base": "Workshop", "table": "Parts"}
RECORD = f"airtable://{BASE}/tblParts000000000/recPart0500000000"
SCHEMA = f"airtable://{BASE}/tblParts000000000/schema"
TEMPLATES = ["airtable://{base}/schema", "airtable://{base}/{table}/schema", "airtable://{base}/{table}/{record}"]
PROMPTS = {
    "explore_base": {"base": "Workshop", "question": "what is rare?"},
    "clean_up_table": {"base": "Workshop", "table": "Parts"},
    "design_schema": {"purpose": "lend out tools"},
    "build_report": {"base": "Workshop", "table": "Parts", "question": "how many are done?"},
    "import_data": {"base": "Workshop", "table": "Parts", "source": "a sheet of parts"},
}
PATIENCE = 30


class Surface:
    def __init__(self, client, told):
        self.client = client
        self.told = told  # what the message handler of the older era was told

    @property
    def modern(self):
        return self.client.protocol_version == "2026-07-28"

    async def call(self, tool, arguments, **more):
        result = await self.client.call_tool(tool, arguments, **more)
        assert not result.is_error, f"{tool}: {result.content[0].text}"
        return result

    async def total(self):
        """How many suppliers there are."""
        result = await self.call("describe_base", {"base": "Workshop"})
        return next(t["records"] for t in result.structured_content["tables"] if t["name"] == "Suppliers / EU")

    async def read(self, uri, named=None):
        """A resource; `named` is its address by ids, where `uri` has names."""
        (content,) = (await self.client.read_resource(uri, cache_mode="refresh")).contents
        assert content.uri == (named or uri) and content.mime_type == "application/json", content
        return json.loads(content.text)


async def every(page, key):
    """All items of all pages."""
    items, cursor = [], None
    while True:
        answer = await page(cursor=cursor)
        items += getattr(answer, key)
        cursor = answer.next_cursor
        if cursor is None:
            return items


async def reads_resources(surface):
    client = surface.client
    listed = {str(resource.uri): resource for resource in await every(client.list_resources, "resources")}
    assert {"airtable://bases", "airtable://formula-reference"} <= set(listed), listed
    assert listed["airtable://bases"].mime_type == "application/json"
    templates = await every(client.list_resource_templates, "resource_templates")
    assert [template.uri_template for template in templates] == TEMPLATES, templates
    assert all(template.name and template.description for template in templates)
    assert [base["name"] for base in (await surface.read("airtable://bases"))["bases"]] == ["Workshop"]
    schema = await surface.read(f"airtable://{BASE}/schema")
    assert [table["name"] for table in schema["tables"]] == ["Parts", "Suppliers / EU"], schema
    by_name = await surface.read(
        "airtable://Workshop/Suppliers%20%2F%20EU/schema", f"airtable://{BASE}/tblSuppliers00000/schema"
    )
    assert [field["name"] for field in by_name["fields"]] == ["Name", "City", "Score", "Parts"], by_name
    record = await surface.read(RECORD)
    assert record["id"] == "recPart0500000000" and record["fields"]["Name"] == "Part 05", record
    for missing in (
        "airtable://Nowhere/schema",
        f"airtable://{BASE}/Parts/recNone0000000000",
        "airtable://",
        "file:///etc/passwd",
    ):
        try:
            await client.read_resource(missing)
        except MCPError as fault:
            assert fault.error.code == (-32602 if surface.modern else -32002), (missing, fault.error)
        else:
            raise AssertionError(f"{missing} was read")


async def gets_prompts(surface):
    client = surface.client
    listed = {prompt.name: prompt for prompt in await every(client.list_prompts, "prompts")}
    assert set(listed) == set(PROMPTS), listed
    for name, arguments in PROMPTS.items():
        prompt = listed[name]
        assert prompt.title and prompt.description
        known = {argument.name: argument.required for argument in prompt.arguments}
        assert set(arguments) <= set(known), (name, known)
        got = await client.get_prompt(name, arguments)
        text = "\n".join(str(message.content) for message in got.messages)
        assert got.messages[0].role == "user" and "{{" not in text, text
        for value in arguments.values():
            assert value in text, (name, value)
        try:
            await client.get_prompt(name, {})
        except MCPError as fault:
            assert fault.error.code == -32602, fault.error
        else:
            raise AssertionError(f"{name} without its arguments")
    try:
        await client.get_prompt("no_such_prompt")
    except MCPError as fault:
        assert fault.error.code == -32602, fault.error
    else:
        raise AssertionError("an unknown prompt")


async def completes(surface):
    async def values(ref, argument, value, **context):
        answer = await surface.client.complete(ref, {"name": argument, "value": value}, context or None)
        return answer.completion.values

    prompt = types.PromptReference(type="ref/prompt", name="build_report")
    assert await values(prompt, "base", "") == ["Workshop"]
    assert await values(prompt, "base", "work") == ["Workshop"]
    assert await values(prompt, "table", "", base="Workshop") == ["Parts", "Suppliers / EU"]
    assert await values(prompt, "table", "sup", base="Workshop") == ["Suppliers / EU"]
    assert "In stock by price" in await values(prompt, "view", "", **PARTS)
    assert await values(prompt, "group_by", "stat", **PARTS) == ["Status"]
    assert await values(prompt, "only", "", group_by="Status", **PARTS) == ["todo", "doing", "done"]
    clean = types.PromptReference(type="ref/prompt", name="clean_up_table")
    assert set(await values(clean, "field", "supplier", **PARTS)) >= {"Supplier", "Supplier city", "Suppliers"}
    assert await values(prompt, "question", "how") == []
    for template in TEMPLATES:
        ref = types.ResourceTemplateReference(type="ref/resource", uri=template)
        assert len(await values(ref, "base", "")) == 1, template
        if "{table}" in template:
            assert len(await values(ref, "table", "pa", base=BASE)) == 1, template
    everything = await surface.client.complete(clean, {"name": "field", "value": ""}, PARTS)
    assert len(everything.completion.values) == 35 and not everything.completion.has_more


async def sees_updates(surface):
    client = surface.client

    async def change(name):
        await surface.call(
            "update_records", {**PARTS, "records": [{"id": "recPart0500000000", "fields": {"Name": name}}]}
        )

    if surface.modern:
        async with client.listen(resource_subscriptions=[RECORD]) as subscription:
            assert subscription.honored.resource_subscriptions == [RECORD], subscription.honored
            await change("Seen")
            with anyio.fail_after(PATIENCE):
                event = await anext(subscription)
            assert event.uri == RECORD, event
            assert (await surface.read(RECORD))["fields"]["Name"] == "Seen"
        return
    await client.subscribe_resource(RECORD)
    await change("Seen")
    with anyio.fail_after(PATIENCE):
        while RECORD not in surface.told:
            await anyio.sleep(0.01)
    assert (await surface.read(RECORD))["fields"]["Name"] == "Seen"
    await client.unsubscribe_resource(RECORD)
    await client.subscribe_resource(SCHEMA)
    surface.told.clear()
    await change("Not told")
    await surface.call("create_field", {**PARTS, "field": {"name": "Later", "type": "singleLineText"}})
    with anyio.fail_after(PATIENCE):
        while SCHEMA not in surface.told:
            await anyio.sleep(0.01)
    assert RECORD not in surface.told, "a subscription that ended"


async def follows_progress(surface):
    seen = []

    async def note(progress, total, message):
        seen.append((progress, total))

    before = await surface.total()
    records = [{"Name": f"Supplier {n}"} for n in range(5_000)]
    arguments = {"base": "Workshop", "table": "Suppliers / EU", "records": records}
    result = await surface.call("create_records", arguments, progress_callback=note)
    assert result.structured_content["count"] == 5_000
    assert len(seen) >= 2, seen
    steps = [progress for progress, _ in seen]
    assert steps == sorted(set(steps)) and steps[-1] <= 5_000, steps
    assert {total for _, total in seen} == {5_000}, seen
    assert await surface.total() == before + 5_000


async def cancels(surface):
    before = await surface.total()
    count = 30_000
    records = [{"Name": f"Cancelled {n}"} for n in range(count)]
    with anyio.CancelScope() as scope:

        async def stop(progress, total, message):
            scope.cancel()

        arguments = {"base": "Workshop", "table": "Suppliers / EU", "records": records}
        await surface.call("create_records", arguments, progress_callback=stop)
    assert scope.cancelled_caught, "it ended before it could be stopped"

    async def one_more():
        """Writes a record behind what is being written, and counts."""
        await surface.call(
            "create_records", {"base": "Workshop", "table": "Suppliers / EU", "records": [{"Name": "After"}]}
        )
        return await surface.total() - before

    # The part that is being written is finished; nothing follows it.
    made, next_made = 0, await one_more()
    while next_made != made + 1:
        made, next_made = next_made, await one_more()
    assert next_made < count, f"{next_made} records were made of a call that was stopped"
    assert await one_more() == next_made + 1


STEPS = [reads_resources, gets_prompts, completes, sees_updates, follows_progress, cancels]


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", required=True)
    parser.add_argument("kind", choices=["stdio", "http", "sse"])
    parser.add_argument("target", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    told, done = [], []

    async def handler(message):
        if isinstance(message, types.ResourceUpdatedNotification):
            told.append(str(message.params.uri))

    async def use(transport):
        async with Client(transport, mode=args.mode, message_handler=handler) as client:
            surface = Surface(client, told)
            for step in STEPS:
                try:
                    await step(surface)
                except BaseException:
                    print(f"{step.__name__} failed over {client.protocol_version}", file=sys.stderr)
                    raise
            done.append(True)
            print(f"{len(STEPS)} steps passed over protocol {client.protocol_version}")

    if args.kind == "stdio":
        await use(StdioServerParameters(command=args.target[0], args=args.target[1:], env=dict(os.environ)))
        return
    headers = {"Authorization": f"Bearer {os.environ['TABLEWRIGHT_TOKEN']}"}
    if args.kind == "sse":
        try:
            await use(sse_client(args.target[0], headers=headers, timeout=PATIENCE))
        except Exception:
            # The SDK trips over a notification that comes while it closes.
            if not done:
                raise
        return
    async with httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http:
        await use(streamable_http_client(args.target[0], http_client=http))


# Both eras are meant to be used here.
warnings.filterwarnings("ignore", category=MCPDeprecationWarning)
asyncio.run(main())
