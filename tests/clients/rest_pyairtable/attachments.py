"""Attachments: uploads, files taken from an address, keeping, removing, downloading."""

import struct
import tempfile
import zlib
from pathlib import Path

import requests
from listener import listening
from workshop import part, refused, until

FILES = "fldPFiles00000000"


def png(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x20\x90\xd0" * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def cell(shop, number):
    return shop.parts.get(part(number))["fields"].get("Files", [])


def uploads_text(shop):
    words = "first line\n" * 40  # long enough for pyairtable to break its base64 into lines
    done = shop.parts.upload_attachment(part(1), "Files", "notes.txt", words)
    assert done["id"] == part(1) and set(done["fields"]) == {FILES}, "fields by id"
    (file,) = done["fields"][FILES]
    assert file["id"].startswith("att") and (file["filename"], file["type"], file["size"]) == (
        "notes.txt",
        "text/plain",
        440,
    )
    (listed,) = cell(shop, 1)
    assert (listed["id"], listed["filename"], listed["size"]) == (file["id"], "notes.txt", 440), listed
    got = requests.get(listed["url"], timeout=20)  # without a token: the address is signed
    assert got.status_code == 200 and got.text == words, (got.status_code, got.text)
    assert got.headers["content-type"].startswith("text/plain"), got.headers


def uploads_more_beside_it(shop):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dot image.png"
        path.write_bytes(png(64, 48))
        done = shop.parts.upload_attachment(part(1), FILES, path)
    first, second = done["fields"][FILES]
    assert first["filename"] == "notes.txt" and second["filename"] == "dot image.png", done
    assert (second["type"], second["width"], second["height"]) == ("image/png", 64, 48), second
    for size in ("small", "large", "full"):
        thumbnail = second["thumbnails"][size]
        assert thumbnail["width"] > 0 and thumbnail["height"] > 0, second
        got = requests.get(thumbnail["url"], timeout=20)
        assert got.status_code == 200 and got.headers["content-type"].startswith("image/"), got.headers
    assert second["thumbnails"]["small"]["height"] <= 36, second
    assert requests.get(second["url"], timeout=20).content == png(64, 48)


def refuses_strange_addresses(shop):
    url = cell(shop, 1)[0]["url"]
    *start, moment, signature, variant, name = url.split("/")
    later = f"{int(moment, 16) + 1:x}"
    other = signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")
    for parts in ((later, signature, variant, name), (moment, other, variant, name), (moment, signature, "full", name)):
        wrong = "/".join([*start, *parts])
        assert requests.get(wrong, timeout=20).status_code in (403, 404, 410), wrong


def takes_files_from_addresses(shop):
    with listening() as web:
        web.files["/a/parts.csv"] = ("text/csv", b"a,b\n1,2\n")
        web.files["/image"] = ("image/png", png(8, 8))
        wanted = [{"url": web.address("/a/parts.csv")}, {"url": web.address("/image"), "filename": "square.png"}]
        made = shop.parts.create({"Name": "With files", "Files": wanted})
        assert len(made["fields"]["Files"]) == 2, made

        def arrived():
            files = shop.parts.get(made["id"])["fields"]["Files"]
            return files if all("size" in file for file in files) else None

        table, image = until(arrived, "the files")
    assert (table["filename"], table["type"], table["size"]) == ("parts.csv", "text/csv", 8), table
    assert (image["filename"], image["type"]) == ("square.png", "image/png"), image
    assert image["id"] == made["fields"]["Files"][1]["id"] and image["width"] == 8, image
    assert requests.get(table["url"], timeout=20).content == b"a,b\n1,2\n"


def says_when_a_file_cannot_be_had(shop):
    with listening() as web:
        made = shop.parts.create({"Name": "No file", "Files": [{"url": web.address("/none.txt")}]})
        until(lambda: not shop.parts.get(made["id"])["fields"].get("Files"), "an empty cell")


def keeps_and_removes_by_id(shop):
    first, second = cell(shop, 1)
    fields = shop.parts.update(part(1), {"Files": [{"id": second["id"]}]})["fields"]
    assert [file["id"] for file in fields["Files"]] == [second["id"]], fields
    until(lambda: requests.get(first["url"], timeout=20).status_code in (200, 404, 410), "an answer")
    done = shop.parts.upload_attachment(part(1), "Files", "again.txt", b"again")
    assert [file["filename"] for file in done["fields"][FILES]] == ["dot image.png", "again.txt"]
    assert "Files" not in shop.parts.update(part(1), {"Files": []})["fields"]
    assert cell(shop, 1) == []


def names_and_formulas_see_file_names(shop):
    shop.parts.upload_attachment(part(2), "Files", "manual.pdf", b"%PDF-1.4\n%%EOF\n")
    found = shop.parts.all(formula="FIND('manual.pdf', {Files})")
    assert [record["id"] for record in found] == [part(2)]
    how = {"cell_format": "string", "time_zone": "utc", "user_locale": "en"}
    assert shop.parts.get(part(2), **how)["fields"]["Files"].startswith("manual.pdf ("), "name (address)"


def never_runs_what_it_serves(shop):
    for name, kind, body in (
        ("page.html", "text/html", b"<script>alert(1)</script>"),
        ("image.svg", "image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
    ):
        done = shop.parts.upload_attachment(part(3), "Files", name, body, kind)
        got = requests.get(done["fields"][FILES][-1]["url"], timeout=20)
        assert got.content == body
        assert got.headers["x-content-type-options"] == "nosniff", got.headers
        assert got.headers["content-disposition"].startswith("attachment"), got.headers
        assert "html" not in got.headers["content-type"] or "sandbox" in got.headers["content-security-policy"]


def refuses_uploads(shop):
    upload = shop.parts.urls.upload_attachment(part(4), "Files")
    good = {"contentType": "text/plain", "filename": "a.txt", "file": "YQ=="}
    for wrong in ({"file": "no base64!"}, {"file": 5}, {"filename": 5}):
        refused(lambda: shop.api.post(upload, json={**good, **wrong}), 422, None)
    for missing in ("filename", "file"):
        rest = {key: value for key, value in good.items() if key != missing}
        refused(lambda: shop.api.post(upload, json=rest), 422, None)
    refused(lambda: shop.parts.upload_attachment(part(4), "Name", "a.txt", b"a"), 422, None)
    refused(lambda: shop.parts.upload_attachment(part(4), "Nothing", "a.txt", b"a"), 422, None)
    for name in ("../../etc/passwd", "a/b\\c.txt", "..", "\u202etxt.exe", "x\0y.txt"):
        done = shop.api.post(upload, json={**good, "filename": name})
        shown = done["fields"][FILES][-1]["filename"]
        assert "/" not in shown and "\\" not in shown and "\0" not in shown and shown not in ("", "..", "."), shown
    big = shop.parts.urls.upload_attachment(part(5), "Files")
    refused(lambda: shop.api.post(big, json={**good, "file": "A" * 8_000_000}), 413, None)
    assert cell(shop, 5) == []


STEPS = [
    uploads_text,
    uploads_more_beside_it,
    refuses_strange_addresses,
    takes_files_from_addresses,
    says_when_a_file_cannot_be_had,
    keeps_and_removes_by_id,
    names_and_formulas_see_file_names,
    never_runs_what_it_serves,
    refuses_uploads,
]
