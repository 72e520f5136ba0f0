"""Makes content.json: a content calendar of invented people, campaigns, posts and assets.

The same file every time: the generator is seeded. Usage: python content.py
"""

import datetime
import random

from basefile import Base

rng = random.Random(20261102)
START = datetime.datetime(2026, 2, 2, 8, 0)
PEOPLE = ["Noor Aziz", "Tomas Brandt", "Lucia Ferrer", "Mei Lin", "Samuel Osei", "Freya Holm", "Anton Kral", "Dina Saleh"]
ROLES = ["Writer", "Designer", "Editor", "Video"]
CHANNELS = ["Blog", "Newsletter", "Mastodon", "LinkedIn", "Video"]
STATES = ["Idea", "Draft", "Review", "Scheduled", "Published"]
THEMES = ["Spring launch", "Customer stories", "Hiring", "Product tips", "Year in review", "Field notes"]
ANGLES = ["five things we learned", "a short guide", "behind the scenes", "questions and answers", "the long version", "before and after"]


def iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


base = Base("Content calendar")
day = {"dateFormat": {"name": "iso", "format": "YYYY-MM-DD"}}
moment = {**day, "timeFormat": {"name": "24hour", "format": "HH:mm"}, "timeZone": "Europe/Berlin"}
base.table("Posts", [
    ("Title", "singleLineText"),
    ("Channel", "singleSelect", {"choices": CHANNELS}),
    ("State", "singleSelect", {"choices": STATES}),
    ("Publish at", "dateTime", moment),
    ("Author", "multipleRecordLinks", base.link("Posts", "Author", "People", "Posts", single=True)),
    ("Campaign", "multipleRecordLinks", base.link("Posts", "Campaign", "Campaigns", "Posts", single=True)),
    ("Assets", "multipleRecordLinks", base.link("Posts", "Assets", "Assets", "Posts")),
    ("Text", "multilineText"),
    ("Words", "number", {"precision": 0}),
    ("Approved", "checkbox", {"icon": "check", "color": "greenBright"}),
])
base.table("Campaigns", [
    ("Name", "singleLineText"),
    ("Starts", "date", day),
    ("Ends", "date", day),
    ("Budget", "currency", {"precision": 0, "symbol": "€"}),
    ("Posts", "multipleRecordLinks", base.link("Campaigns", "Posts", "Posts", "Campaign")),
])
base.table("People", [
    ("Name", "singleLineText"),
    ("Role", "singleSelect", {"choices": ROLES}),
    ("Email", "email"),
    ("Posts", "multipleRecordLinks", base.link("People", "Posts", "Posts", "Author")),
])
base.table("Assets", [
    ("File name", "singleLineText"),
    ("Kind", "singleSelect", {"choices": ["Photo", "Chart", "Clip", "Logo"]}),
    ("Licence", "singleLineText"),
    ("Posts", "multipleRecordLinks", base.link("Assets", "Posts", "Posts", "Assets")),
])
for n, name in enumerate(PEOPLE):
    base.add("People", name, iso(START), {
        "Name": name, "Role": ROLES[n % 4], "Email": f"{name.split()[0].lower()}@tablewright.example",
    })
for n, name in enumerate(THEMES):
    starts = START + datetime.timedelta(days=30 * n)
    base.add("Campaigns", name, iso(START), {
        "Name": name, "Starts": starts.strftime("%Y-%m-%d"),
        "Ends": (starts + datetime.timedelta(days=45)).strftime("%Y-%m-%d"), "Budget": 1500 + 750 * n,
    })
for n in range(90):
    kind = ["Photo", "Chart", "Clip", "Logo"][n % 4]
    base.add("Assets", n, iso(START), {
        "File name": f"{kind.lower()}-{n:03}.{'mp4' if kind == 'Clip' else 'png'}", "Kind": kind,
        "Licence": "own work" if n % 5 else None,
    })
for n in range(240):
    theme, angle = THEMES[n % len(THEMES)], ANGLES[n // 7 % len(ANGLES)]
    at = START + datetime.timedelta(days=n, hours=n % 9)
    state = STATES[min(4, (240 - n) // 40)]
    base.add("Posts", n, iso(at - datetime.timedelta(days=14)), {
        "Title": f"{theme}: {angle}" + (" " if n % 37 == 0 else ""),
        "Channel": CHANNELS[n % 5],
        "State": state,
        "Publish at": iso(at) if n % 19 else None,
        "Author": [base.record_id("People", rng.choice(PEOPLE))],
        "Campaign": [base.record_id("Campaigns", theme)] if n % 8 else None,
        "Assets": [base.record_id("Assets", number) for number in rng.sample(range(90), n % 3)],
        "Text": f"Draft for {CHANNELS[n % 5].lower()}: {angle} on {theme.lower()}, with one example and a link." if n % 4 else None,
        "Words": rng.randint(60, 1400),
        "Approved": state in ("Scheduled", "Published"),
    })
base.write("content.json")
