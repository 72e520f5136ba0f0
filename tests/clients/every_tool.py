"""Lists and calls every tool with the Python SDK; fails when one does not answer as it should.

every_tool.py --mode legacy|2026-07-28|auto (stdio COMMAND ... | http URL | sse URL)
The token for HTTP comes from TABLEWRIGHT_TOKEN.
"""

import argparse
import asyncio
import json
import os

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ResourceTemplateReference

GOODS = {"base": "Shop", "table": "Goods"}


async def call(client, tool, arguments):
    result = await client.call_tool(tool, arguments)
    text = result.content[0].text
    assert not result.is_error, f"{tool}: {text}"
    return result, text


async def use_rows(client, use_tool):
    """Reading and writing records, formulas and comments."""
    result, _ = await use_tool("list_bases", {})
    assert result.structured_content["bases"][0]["name"] == "Shop"
    result, _ = await use_tool("describe_base", {"base": "Shop"})
    assert [table["name"] for table in result.structured_content["tables"]] == ["Goods", "Makers"]
    result, text = await use_tool("list_records", {**GOODS, "limit": 2})
    assert "Lamp" in text and result.structured_content is None
    _, text = await use_tool("search_records", {"base": "Shop", "query": "acme"})
    assert "recLamp0000000000" in text
    result, _ = await use_tool("create_records", {**GOODS, "records": [{"Name": "New", "Stock": 5}, {"Stock": "x"}]})
    made = result.structured_content
    assert made["count"] == 1 and made["failed"][0]["index"] == 1, made
    record = made["ids"][0]
    await use_tool("update_records", {**GOODS, "records": [{"id": record, "fields": {"Stock": 6}}]})
    result, _ = await use_tool("get_records", {**GOODS, "records": [record], "format": "json"})
    assert result.structured_content["records"][0]["fields"]["Stock"] == 6
    changes = [{"Name": "New", "Stock": 7}, {"Name": "Newer"}]
    result, _ = await use_tool("upsert_records", {**GOODS, "merge_on": ["Name"], "records": changes})
    upserted = result.structured_content
    assert upserted["ids"][0] == record and upserted["created"] == 1, upserted
    result, _ = await use_tool("check_formula", {**GOODS, "formula": "{Prise} * 2"})
    assert not result.structured_content["valid"] and "Price" in result.structured_content["problems"][0]["fix"]
    result, _ = await use_tool("evaluate_formula", {**GOODS, "formula": "{Price} * 2", "trace": True})
    assert result.structured_content["rows"][0]["value"] == 80, result.structured_content
    result, _ = await use_tool("explain_formula", {**GOODS, "field": "Worth"})
    assert result.structured_content["depends_on"] == ["Price", "Stock"]
    result, _ = await use_tool("assess_formula_impact", {**GOODS, "field": "Price", "change": "delete"})
    assert result.structured_content["broken"] == 1
    file = {**GOODS, "record": record, "field": "Files"}
    result, _ = await use_tool("upload_attachment", {**file, "text": "oiled beech", "filename": "care.md"})
    assert result.structured_content["type"] == "text/markdown", result.structured_content
    _, text = await use_tool("get_attachment", file)
    assert "filename: care.md\noiled beech" in text
    result, _ = await use_tool("add_comment", {**GOODS, "record": record, "text": "Is it new?"})
    comment = result.structured_content["id"]
    _, text = await use_tool("list_comments", {**GOODS, "record": record})
    explained, _ = await use_tool("explain_access", {**GOODS, "verb": "read", "field": "Price"})
    assert explained.structured_content["allowed"], explained
    listed, _ = await use_tool("list_members", {})
    assert listed.structured_content["members"] == [], listed
    made, _ = await use_tool("create_token", {"name": "another", "days": 1})
    assert made.structured_content["token"].startswith("twk_"), made
    await use_tool("revoke_token", {"token": "another"})
    assert comment in text and "Is it new?" in text, text
    await use_tool("delete_records", {**GOODS, "records": [record]})
    wrong = await client.call_tool("get_records", {**GOODS, "records": [record]})
    assert wrong.is_error and "unknown_record" in wrong.content[0].text


async def use_schema(use_tool):
    """Making, changing and deleting a base and what is in it."""
    name = {"name": "Name", "type": "singleLineText"}
    link = {"name": "Visits", "type": "multipleRecordLinks", "links_to": "Visits", "other_side": "Guest"}
    tables = [{"name": "Guests", "fields": [name, link]}, {"name": "Visits", "fields": [name]}]
    result, _ = await use_tool("create_base", {"name": "Inn", "tables": tables})
    made = result.structured_content
    assert [field["name"] for field in made["tables"][1]["fields"]] == ["Name", "Guest"], made
    await use_tool("create_table", {"base": "Inn", "name": "Rooms", "fields": [name]})
    await use_tool("update_table", {"base": "Inn", "table": "Rooms", "name": "Beds"})
    guests = {"base": "Inn", "table": "Guests"}
    count = {"name": "How many", "type": "count", "through": "Visits"}
    await use_tool("create_field", {**guests, "field": count})
    result, _ = await use_tool("update_field", {**guests, "field": "How many", "name": "Number"})
    assert result.structured_content["name"] == "Number", result.structured_content
    await use_tool("create_view", {**guests, "name": "Often", "filter": "{Number} > 2"})
    await use_tool("update_view", {**guests, "view": "Often", "sort": [{"field": "Number", "direction": "desc"}]})
    result, _ = await use_tool("delete_field", {**guests, "field": "Number", "force": True})
    assert "Often" in result.structured_content["affected"][0], result.structured_content
    await use_tool("delete_view", {**guests, "view": "Often"})
    result, _ = await use_tool("delete_table", {"base": "Inn", "table": "Visits", "confirm": "Visits"})
    assert result.structured_content["became_texts"][0]["name"] == "Visits", result.structured_content
    await use_tool("delete_base", {"base": "Inn", "confirm": "Inn"})


async def use_changes(use_tool):
    """What changed, and how far copies are."""
    result, _ = await use_tool("get_sync_status", {})
    assert result.structured_content["bases"] == []
    result, _ = await use_tool("wait_for_changes", {"base": "Shop", "timeout_seconds": 0})
    since = result.structured_content["cursor"]
    made, _ = await use_tool("create_records", {**GOODS, "records": [{"Name": "Passing"}]})
    record = made.structured_content["ids"][0]
    result, _ = await use_tool("wait_for_changes", {**GOODS, "since": since, "fields": ["Name"]})
    change = result.structured_content["changes"][0]
    assert (change["id"], change["change"], change["fields"]) == (record, "created", {"Name": "Passing"}), change
    await use_tool("delete_records", {**GOODS, "records": [record]})


async def use(client):
    if client.server_info is not None:  # a client that names its version asks for nothing first
        assert client.server_info.name == "tablewright", client.server_info
        assert "list_bases" in client.instructions
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    for tool in tools.values():
        assert tool.title and tool.description and tool.annotations.read_only_hint is not None, tool.name
    called = set()

    async def use_tool(name, arguments):
        called.add(name)
        return await call(client, name, arguments)

    # First what news of lists follows on: it must have come before the conversation ends.
    await use_schema(use_tool)
    await use_rows(client, use_tool)
    await use_changes(use_tool)
    # There is no Airtable behind this server.
    refused = await client.call_tool("sync_base", {"base": "Shop"})
    assert refused.is_error and "lives here" in refused.content[0].text
    # An invitation is accepted over HTTP alone.
    invited = await client.call_tool("invite_member", {"email": "ann@example.com", "role": "reader"})
    text = invited.content[0].text
    assert "serve --http" in text if invited.is_error else "/invitation?code=" in text, text
    connecting = await client.call_tool("connect_airtable", {})
    assert connecting.is_error and "only a member" in connecting.content[0].text, connecting
    called.update(["sync_base", "invite_member", "connect_airtable"])
    await use_plans(client)
    called.update(["apply_plan", "get_plan", "list_changes", "undo_changes", "get_record_history"])
    await use_resources(client)
    assert called == set(tools), called ^ set(tools)
    print(f"{len(called)} tools called over protocol {client.protocol_version}")


async def use_plans(client):
    """A write is looked at first, then carried out; the answers fit their schemas."""
    change = {"base": "Shop", "table": "Goods", "records": [{"id": "recLamp0000000000", "fields": {"Price": 45}}]}
    planned = await client.call_tool("update_records", {**change, "dry_run": True})
    assert not planned.is_error, planned
    plan = planned.structured_content["plan"]
    assert plan["records"][0]["after"] == {"Price": 45}, plan
    shown = await client.call_tool("get_plan", {"plan": plan["id"]})
    assert shown.structured_content["records"] == plan["records"], shown
    done = await client.call_tool("apply_plan", {"plan": plan["id"]})
    assert not done.is_error, done
    again = await client.call_tool("apply_plan", {"plan": plan["id"]})
    assert again.is_error and "already" in again.content[0].text, again
    listed = await client.call_tool("list_changes", {"base": "Shop", "limit": 1})
    assert listed.structured_content["changes"][0]["plan"] == plan["id"], listed
    number = done.structured_content["change"]
    undone = await client.call_tool("undo_changes", {"base": "Shop", "changes": [number]})
    assert undone.structured_content["restored"] == 1, undone
    history = await client.call_tool("get_record_history", {**GOODS, "record": change["records"][0]["id"]})
    assert history.structured_content["changes"][1]["undone_by"] == undone.structured_content["change"], history


async def use_resources(client):
    """Resources, their templates, prompts and completion."""
    resources = (await client.list_resources()).resources
    uris = [str(resource.uri) for resource in resources]
    assert uris[:2] == ["airtable://formula-reference", "airtable://bases"] and len(uris) == 5, uris
    for uri in uris:
        page = await client.read_resource(uri)
        assert page.contents[0].text, uri
    page = await client.read_resource("airtable://Shop/Goods/Lamp")
    assert json.loads(page.contents[0].text)["id"] == "recLamp0000000000"
    templates = (await client.list_resource_templates()).resource_templates
    assert len(templates) == 3, templates
    prompts = (await client.list_prompts()).prompts
    assert "explore_base" in [prompt.name for prompt in prompts], prompts
    prompt = await client.get_prompt("explore_base", {"base": "Shop"})
    assert "Shop" in prompt.messages[0].content.text
    assert "fldGPrice00000000" in prompt.messages[1].content.resource.text
    reference = ResourceTemplateReference(type="ref/resource", uri="airtable://{base}/{table}/schema")
    found = await client.complete(reference, {"name": "table", "value": "g"}, {"base": "Shop"})
    assert found.completion.values == ["Goods"], found


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", required=True)
    parser.add_argument("kind", choices=["stdio", "http", "sse"])
    parser.add_argument("target", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if args.kind == "stdio":
        server = StdioServerParameters(command=args.target[0], args=args.target[1:], env=dict(os.environ))
        async with Client(server, mode=args.mode) as client:
            await use(client)
        return
    headers = {"Authorization": f"Bearer {os.environ['TABLEWRIGHT_TOKEN']}"}
    if args.kind == "sse":
        done = False
        try:
            async with Client(sse_client(args.target[0], headers=headers), mode=args.mode) as client:
                await use(client)
                done = True
        except Exception:
            # The SDK trips over a notification that comes while it closes.
            if not done:
                raise
    else:
        async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
            transport = streamable_http_client(args.target[0], http_client=http)
            async with Client(transport, mode=args.mode) as client:
                await use(client)


asyncio.run(main())
