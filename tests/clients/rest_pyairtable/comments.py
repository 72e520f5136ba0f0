"""Comments: threads, mentions, edits, counts, pages."""

from workshop import part, refused


def adds_and_lists(shop):
    assert shop.parts.comments(part(1)) == []
    me = shop.api.whoami()
    first = shop.parts.add_comment(part(1), "The first <b>one</b>\nwith two lines")
    assert first.id.startswith("com") and first.text == "The first <b>one</b>\nwith two lines"
    assert first.author.id == me["id"] and first.author.email == me["email"] and first.author.name
    assert first.last_updated_time is None and first.parent_comment_id is None and first.mentioned == {}
    second = shop.parts.add_comment(part(1), "The second one")
    listed = shop.parts.comments(part(1))
    assert [comment.id for comment in listed] == [second.id, first.id], "newest first"
    assert listed[1].created_time == first.created_time
    assert shop.parts.comments(part(2)) == []
    assert shop.api.get(shop.parts.urls.record_comments(part(1)))["offset"] is None


def answers_in_threads(shop):
    parent = shop.parts.add_comment(part(3), "What about this?")
    answer = shop.parts.add_comment(part(3), "What indeed", parent_comment_id=parent.id)
    assert answer.parent_comment_id == parent.id
    assert [c.parent_comment_id for c in shop.parts.comments(part(3))] == [parent.id, None]
    lost = lambda: shop.parts.add_comment(part(3), "To nobody", parent_comment_id="comNone0000000000")
    refused(lost, 404, ("MODEL_ID_NOT_FOUND", "omment"))


def mentions(shop):
    me = shop.api.whoami()
    comment = shop.parts.add_comment(part(4), f"Look, @[{me['id']}]!")
    assert comment.text == f"Look, @[{me['id']}]!"
    (mentioned,) = comment.mentioned.values()
    assert (mentioned.id, mentioned.type, mentioned.email) == (me["id"], "user", me["email"]), mentioned
    assert mentioned.display_name
    comment.text = "Nobody is meant"
    comment.save()
    assert not comment.mentioned, comment
    assert not shop.parts.comments(part(4))[0].mentioned


def edits_and_deletes(shop):
    comment = shop.parts.add_comment(part(5), "Frist")
    comment.text = "First"
    comment.save()
    (listed,) = shop.parts.comments(part(5))
    assert listed.text == "First" and listed.last_updated_time is not None, listed
    comment.delete()
    assert comment.deleted and shop.parts.comments(part(5)) == []
    refused(lambda: shop.api.delete(comment._url), 404, None)
    comment = shop.parts.add_comment(part(5), "x")
    address = shop.parts.urls.record_comments(part(5)) / comment.id
    assert shop.api.delete(address) == {"id": comment.id, "deleted": True}


def counts(shop):
    for number in range(3):
        shop.parts.add_comment(part(6), f"{number}")
    record = shop.parts.first(formula="{Name} = 'Part 06'", count_comments=True)
    assert record["commentCount"] == 3, record
    assert "commentCount" not in shop.parts.first(formula="{Name} = 'Part 06'")
    assert not shop.parts.first(formula="{Name} = 'Part 30'", count_comments=True).get("commentCount")


def pages(shop):
    for number in range(103):
        shop.parts.add_comment(part(7), f"number {number}")
    comments, sent = shop.sent(lambda: shop.parts.comments(part(7)))
    assert len(sent) == 2 and "offset=" in sent[1][1], sent
    assert [c.text for c in comments] == [f"number {number}" for number in reversed(range(103))]
    address = shop.parts.urls.record_comments(part(7))
    page = shop.api.get(address, params={"pageSize": 2})
    assert [c["text"] for c in page["comments"]] == ["number 102", "number 101"] and page["offset"]
    page = shop.api.get(address, params={"pageSize": 2, "offset": page["offset"]})
    assert [c["text"] for c in page["comments"]] == ["number 100", "number 99"]
    refused(lambda: shop.api.get(address, params={"pageSize": 101}), 422, None)


def refuses(shop):
    refused(lambda: shop.parts.add_comment(part(1), ""), 422, None)
    refused(lambda: shop.api.post(shop.parts.urls.record_comments(part(1)), json={"text": 5}), 422, None)
    for record in ("recNone0000000000", "recPart99"):
        refused(lambda: shop.parts.comments(record), (403, 404), None)


STEPS = [adds_and_lists, answers_in_threads, mentions, edits_and_deletes, counts, pages, refuses]
