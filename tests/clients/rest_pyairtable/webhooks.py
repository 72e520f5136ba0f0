"""Webhooks: payloads of every kind of change, cursors, signed notifications, life and end."""

from datetime import datetime, timedelta, timezone

from listener import listening
from pyairtable.models import WebhookNotification
from workshop import BASE, PARTS, part, refused, until

NAME, QUANTITY, STATUS = "fldPName000000000", "fldPQuantity00000", "fldPStatus0000000"


def spec(filters, **includes):
    options = {"filters": {"dataTypes": ["tableData"], **filters}}
    if includes:
        options["includes"] = includes
    return {"options": options}


def hook(shop, filters=None, **includes):
    """A webhook without a place to notify."""
    body = {"specification": spec(filters or {}, **includes)}
    made = shop.api.post(shop.base.urls.webhooks, json=body)
    return shop.base.webhook(made["id"])


def payloads(webhook, count, cursor=1):
    """The next `count` payloads, when they are there."""
    read = lambda: list(webhook.payloads(cursor))
    until(lambda: len(read()) >= count, f"{count} payloads")
    found = read()
    assert len(found) == count, found
    return found


def lists_what_was_made(shop):
    assert shop.base.webhooks() == []
    wanted = spec({"recordChangeScope": PARTS, "changeTypes": ["update"]}, includePreviousCellValues=True)
    made = shop.base.add_webhook("https://notify.example/hook", wanted)
    assert made.id.startswith("ach") and len(made.mac_secret_base64) >= 32
    week = made.expiration_time - datetime.now(timezone.utc)
    assert timedelta(days=6, hours=23) < week < timedelta(days=7, minutes=1), week
    (webhook,) = shop.base.webhooks()
    assert webhook.id == made.id and webhook.notification_url == "https://notify.example/hook"
    assert webhook.are_notifications_enabled and webhook.is_hook_enabled and webhook.cursor_for_next_payload == 1
    assert webhook.last_successful_notification_time is None and webhook.last_notification_result is None
    filters = webhook.specification.options.filters
    assert (filters.data_types, filters.record_change_scope, filters.change_types) == (["tableData"], PARTS, ["update"])
    assert webhook.specification.options.includes.include_previous_cell_values is True
    webhook.disable_notifications()
    assert not shop.base.webhook(made.id).are_notifications_enabled
    webhook.extend_expiration()
    webhook.delete()
    assert shop.base.webhooks() == []


def tells_record_changes(shop):
    webhook = hook(
        shop, {"recordChangeScope": PARTS}, includePreviousCellValues=True, includeCellValuesInFieldIds=[QUANTITY]
    )
    made = shop.parts.create({"Name": "Hooked", "Status": "todo"})["id"]
    shop.parts.update(made, {"Name": "Renamed"})
    shop.suppliers.create({"Name": "not watched"})
    shop.parts.delete(made)
    created, changed, destroyed = payloads(webhook, 3)
    assert created.payload_format == "v0" and created.action_metadata.source == "publicApi"
    user = created.action_metadata.source_metadata["user"]
    assert user["id"] == shop.api.whoami()["id"], user
    assert created.base_transaction_number < changed.base_transaction_number < destroyed.base_transaction_number
    assert [p.cursor for p in (created, changed, destroyed)] == [1, 2, 3]
    assert list(created.changed_tables_by_id) == [PARTS]
    new = created.changed_tables_by_id[PARTS].created_records_by_id[made]
    assert new.cell_values_by_field_id[NAME] == "Hooked", new
    assert new.cell_values_by_field_id[STATUS]["name"] == "todo", "selects are objects here"
    assert new.cell_values_by_field_id[STATUS]["id"].startswith("sel")
    edit = changed.changed_tables_by_id[PARTS].changed_records_by_id[made]
    assert edit.current.cell_values_by_field_id[NAME] == "Renamed"
    assert edit.previous.cell_values_by_field_id[NAME] == "Hooked"
    assert set(edit.unchanged.cell_values_by_field_id) <= {QUANTITY}, edit.unchanged
    assert destroyed.changed_tables_by_id[PARTS].destroyed_record_ids == [made]
    webhook.delete()


def filters_what_it_tells(shop):
    only_name = hook(shop, {"recordChangeScope": PARTS, "changeTypes": ["update"], "watchDataInFieldIds": [NAME]})
    only_new = hook(shop, {"changeTypes": ["add"], "fromSources": ["publicApi"]})
    by_form = hook(shop, {"fromSources": ["formSubmission"]})
    shop.parts.update(part(9), {"Quantity": 99})
    shop.parts.update(part(9), {"Name": "Nine"})
    made = shop.suppliers.create({"Name": "Added"})["id"]
    (told,) = payloads(only_new, 1)
    assert list(told.changed_tables_by_id["tblSuppliers00000"].created_records_by_id) == [made]
    (told,) = payloads(only_name, 1)
    change = told.changed_tables_by_id[PARTS].changed_records_by_id[part(9)]
    assert change.current.cell_values_by_field_id[NAME] == "Nine" and change.previous is None
    assert list(by_form.payloads()) == []
    for webhook in (only_name, only_new, by_form):
        webhook.delete()


def tells_what_a_view_sees(shop):
    webhook = hook(shop, {"recordChangeScope": "viwPartsStock0000"})
    shop.parts.update(part(12), {"Name": "Out of sight"})
    shop.parts.update(part(13), {"Name": "In sight"})
    (told,) = payloads(webhook, 1)
    assert set(told.changed_tables_by_id[PARTS].changed_views_by_id["viwPartsStock0000"].changed_records_by_id) == {
        part(13)
    }
    webhook.delete()


def tells_schema_changes(shop):
    webhook = hook(shop, {"dataTypes": ["tableFields", "tableMetadata"]}, includePreviousFieldDefinitions=True)
    field = shop.parts.create_field("Hooked field", "number", options={"precision": 1})
    schema = shop.base.schema(force=True).table("Parts")
    renamed = schema.field("Hooked field")
    renamed.name = "Hooked number"
    renamed.save()
    schema.description = "Changed"
    schema.save()
    table = shop.base.create_table("Hooked table", [{"name": "Name", "type": "singleLineText"}])
    new, named, described, tabled = payloads(webhook, 4)
    made = new.changed_tables_by_id[PARTS].created_fields_by_id[field.id]
    assert (made.name, made.type) == ("Hooked field", "number"), new
    change = named.changed_tables_by_id[PARTS].changed_fields_by_id[field.id]
    assert (change.current.name, change.previous.name) == ("Hooked number", "Hooked field"), named
    about = described.changed_tables_by_id[PARTS].changed_metadata
    assert about.current.description == "Changed" and about.previous.description == "One field of every type"
    assert tabled.created_tables_by_id[table.id].metadata.name == "Hooked table", tabled
    assert [f.name for f in tabled.created_tables_by_id[table.id].fields_by_id.values()] == ["Name"]
    webhook.delete()


def counts_every_write_and_pages(shop):
    webhook = hook(shop)
    for number in range(60):
        shop.parts.update(part(14), {"Quantity": number})
    last = payloads(webhook, 60)[-1]
    assert last.cursor == 60
    address = f"{webhook._url}/payloads"
    page = shop.api.get(address)
    assert len(page["payloads"]) == 50 and page["mightHaveMore"] is True and page["cursor"] == 51, page["cursor"]
    page = shop.api.get(address, params={"cursor": 51})
    assert len(page["payloads"]) == 10 and page["mightHaveMore"] is False and page["cursor"] == 61
    assert shop.api.get(address, params={"cursor": 61}) == {"payloads": [], "cursor": 61, "mightHaveMore": False}
    page = shop.api.get(address, params={"cursor": 3, "limit": 2})
    assert len(page["payloads"]) == 2 and page["cursor"] == 5 and page["mightHaveMore"] is True
    assert [p.cursor for p in webhook.payloads(58)] == [58, 59, 60]
    assert shop.base.webhook(webhook.id).cursor_for_next_payload == 61
    for wrong in ({"limit": 51}, {"limit": 0}, {"cursor": 0}, {"cursor": "x"}):
        refused(lambda: shop.api.get(address, params=wrong), 422, None)
    webhook.delete()


def notifies(shop):
    with listening() as web:
        made = shop.base.add_webhook(web.address("/notify?x=1"), spec({"recordChangeScope": PARTS}))
        shop.parts.update(part(15), {"Name": "Tell me"})
        until(lambda: web.taken, "a notification")
        path, headers, body = web.taken[0]
        assert path == "/notify?x=1" and headers["Content-Type"].startswith("application/json")
        mac = headers["X-Airtable-Content-MAC"]
        told = WebhookNotification.from_request(body.decode(), mac, made.mac_secret_base64)
        assert (told.base.id, told.webhook.id) == (BASE, made.id), told
        try:
            WebhookNotification.from_request(body.decode() + " ", mac, made.mac_secret_base64)
        except ValueError:
            pass
        else:
            raise AssertionError("a changed body passed")
        webhook = shop.base.webhook(made.id)
        assert len(payloads(webhook, 1)) == 1
        until(lambda: shop.base.webhook(made.id).last_notification_result, "a result")
        webhook = shop.base.webhook(made.id)
        assert webhook.last_notification_result.success and webhook.last_successful_notification_time
        webhook.disable_notifications()
        taken = len(web.taken)
        shop.parts.update(part(15), {"Name": "Tell nobody"})
        assert len(payloads(webhook, 2)) == 2, "payloads go on"
        webhook.enable_notifications()
        shop.parts.update(part(15), {"Name": "Tell again"})
        until(lambda: len(web.taken) > taken, "another notification")
        webhook.delete()


def tells_when_a_notification_fails(shop):
    with listening() as web:
        web.statuses = [500] * 20
        made = shop.base.add_webhook(web.address("/broken"), spec({}))
        shop.parts.update(part(16), {"Name": "Try"})
        result = until(lambda: shop.base.webhook(made.id).last_notification_result, "a result")
        assert not result.success and result.will_be_retried and result.error.message, result
        shop.base.webhook(made.id).delete()


def refuses(shop):
    def make(body):
        return lambda: shop.api.post(shop.base.urls.webhooks, json=body)

    for body in (
        {},
        {"specification": {"options": {}}},
        {"specification": spec({"dataTypes": ["nonsense"]})},
        {"specification": spec({"recordChangeScope": "tblNone0000000000"})},
        {"specification": spec({"watchDataInFieldIds": ["Name"]})},
        {"specification": spec({}), "notificationUrl": "ftp://notify.example"},
        {"specification": spec({}), "notificationUrl": 5},
    ):
        refused(make(body), 422, None)
    hooks = [hook(shop) for _ in range(10)]
    refused(lambda: hook(shop), (403, 422), None)
    for webhook in hooks:
        webhook.delete()
    gone = hooks[0]
    for act in (lambda: list(gone.payloads()), gone.extend_expiration, gone.disable_notifications):
        refused(act, (403, 404), None)


STEPS = [
    lists_what_was_made,
    tells_record_changes,
    filters_what_it_tells,
    tells_what_a_view_sees,
    tells_schema_changes,
    counts_every_write_and_pages,
    notifies,
    tells_when_a_notification_fails,
    refuses,
]
