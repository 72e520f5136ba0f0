"""Makes packages.json from Debian's package index (main, with English descriptions).

Usage, on a Debian system: apt-get update -o Acquire::Languages=en && python packages.py
Maintainers are left out: the catalogue is about software, not about people.
"""

import re
import subprocess

from basefile import Base, make_id

PACKAGES = 1500
CREATED = "2026-11-01T00:00:00.000Z"
SECTIONS = {
    "admin", "database", "devel", "editors", "education", "electronics", "games", "graphics", "hamradio", "mail",
    "math", "misc", "net", "news", "science", "sound", "text", "utils", "vcs", "video", "web", "x11",
}


def paragraphs(text):
    """A Debian description as plain text."""
    lines = [line[1:] if line.startswith(" ") else line for line in text]
    joined = "\n".join("" if line == "." else line for line in lines)
    return re.sub(r"(?<=[^\n])\n(?=[A-Za-z(\"'`])", " ", joined).strip()


def stanzas(text):
    for block in text.split("\n\n"):
        fields, name = {}, None
        for line in block.splitlines():
            if line.startswith(" ") and name:
                fields[name].append(line)
            elif ":" in line:
                name, value = line.split(":", 1)
                fields[name] = [value.strip()]
        if fields:
            yield fields


def show(*arguments):
    command = ["apt-cache", "-o", "Acquire::Languages=en", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main():
    names = sorted(set(show("pkgnames").split()))
    found = {}
    for start in range(0, len(names), 2000):
        for fields in stanzas(show("show", "--no-all-versions", *names[start:start + 2000])):
            name = fields["Package"][0]
            section = fields.get("Section", [""])[0]
            text = fields.get("Description-en", [])
            body = paragraphs(text[1:])
            is_library = name.startswith("lib") or re.search(r"-(dev|data|doc|common|dbg|plugin.*)$", name)
            if section in SECTIONS and not is_library and 160 <= len(body) <= 620 and "Homepage" in fields:
                found[name] = (text[0], body, section, fields)
    # The same choice every time: by hash, so that every letter and section has its share.
    chosen = sorted(sorted(found, key=lambda name: make_id("", name))[:PACKAGES])
    base = Base("Software")
    tags = sorted({
        tag.split("::")[1]
        for name in chosen
        for tag in re.findall(r"[\w-]+::[\w+-]+", " ".join(found[name][3].get("Tag", [])))
        if tag.startswith(("use::", "interface::"))
    })
    base.table(
        "Packages",
        [
            ("Name", "singleLineText"),
            ("Summary", "singleLineText"),
            ("Description", "multilineText"),
            ("Section", "multipleRecordLinks", base.link("Packages", "Section", "Sections", "Packages", single=True)),
            ("Tags", "multipleSelects", {"choices": tags}),
            ("Version", "singleLineText"),
            ("Homepage", "url"),
            ("Installed KiB", "number", {"precision": 0}),
            ("Download bytes", "number", {"precision": 0}),
        ],
        "Programs of Debian 12 with their descriptions",
    )
    options = base.link("Sections", "Packages", "Packages", "Section")
    base.table("Sections", [("Name", "singleLineText"), ("Packages", "multipleRecordLinks", options)])
    for name in chosen:
        summary, body, section, fields = found[name]
        have = set(re.findall(r"(?:use|interface)::([\w+-]+)", " ".join(fields.get("Tag", []))))
        base.add("Packages", name, CREATED, {
            "Name": name,
            "Summary": summary,
            "Description": body,
            "Section": [base.record_id("Sections", section)],
            "Tags": [tag for tag in tags if tag in have],
            "Version": fields["Version"][0],
            "Homepage": fields["Homepage"][0],
            "Installed KiB": int(fields["Installed-Size"][0]),
            "Download bytes": int(fields["Size"][0]),
        })
    for section in sorted({found[name][2] for name in chosen}):
        base.add("Sections", section, CREATED, {"Name": section})
    base.write("packages.json")


main()
