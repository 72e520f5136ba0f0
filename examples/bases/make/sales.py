"""Makes sales.json: a sales CRM of invented companies and people, with every field type.

The same file every time: the generator is seeded. Some of the data are dirty on purpose
(duplicates, odd phone formats, blanks, stray spaces), as in real life. Usage: python sales.py
"""

import datetime
import random

from basefile import Base, make_id

rng = random.Random(20261101)
START = datetime.datetime(2026, 1, 5, 9, 0)

FIRST = "Ada Bo Carla Dmitri Elif Farah Goran Hana Ivo June Kofi Lena Mateo Nia Omar Priya Quentin Rosa Sven Tala Uma Viktor Wen Ximena Yusuf Zoe".split()
LAST = "Almeida Berg Castro Dahl Eriksen Fofana Grant Haddad Ito Jensen Kaur Lindqvist Moreau Novak Okafor Petrov Quist Rossi Sato Tan Ueda Varga Weiss Xu Yilmaz Zeller".split()
STEMS = "Amber Birch Copper Delta Ember Falcon Granite Harbor Indigo Juniper Keystone Lantern Meridian Northwind Orchard Pioneer Quarry Ridge Summit Tidal Umbra Vertex Willow Zephyr".split()
KINDS = "Analytics Foods Logistics Instruments Textiles Energy Studios Robotics Health Media".split()
INDUSTRY = {
    "Analytics": "Software", "Foods": "Food", "Logistics": "Transport", "Instruments": "Manufacturing",
    "Textiles": "Manufacturing", "Energy": "Energy", "Studios": "Media", "Robotics": "Manufacturing",
    "Health": "Health", "Media": "Media",
}
STAGES = ["Lead", "Qualified", "Proposal", "Negotiation", "Won", "Lost"]
ODDS = {"Lead": 0.1, "Qualified": 0.3, "Proposal": 0.5, "Negotiation": 0.7, "Won": 1, "Lost": 0}
OWNERS = [
    {"id": make_id("usr", name), "email": f"{name.split()[0].lower()}@tablewright.example", "name": name}
    for name in ("Iris Vale", "Jonas Reed", "Mina Park")
]
NOTES = [
    "Asked for a second demo with their finance team before they decide.",
    "Wants the contract reviewed by legal; expects an answer within two weeks.",
    "Price is fine, but the rollout must not touch the busy season.",
    "Our contact is leaving; find the new owner of the project.",
    "Compared us with two others and liked the reporting most.",
]


def iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def phone():
    digits = f"{rng.randint(200, 999)}{rng.randint(100, 999)}{rng.randint(1000, 9999)}"
    return rng.choice(["+1 {0} {1} {2}", "({0}) {1}-{2}", "{0}{1}{2}", "{0}.{1}.{2}"]).format(
        digits[:3], digits[3:6], digits[6:]
    )


def schema(base):
    number = {"precision": 0}
    money = {"precision": 2, "symbol": "$"}
    day = {"dateFormat": {"name": "iso", "format": "YYYY-MM-DD"}}
    moment = {**day, "timeFormat": {"name": "24hour", "format": "HH:mm"}, "timeZone": "utc"}
    field = base.field_id

    def through(table, link, other=None, name=None, **more):
        options = {"isValid": True, "recordLinkFieldId": field(table, link)}
        if other:
            options["fieldIdInLinkedTable"] = field(other, name)
        return {**options, **more}

    base.table("Companies", [
        ("Name", "singleLineText"),
        ("Industry", "singleSelect", {"choices": sorted(set(INDUSTRY.values()) | {"Retail"})}),
        ("Website", "url"),
        ("Employees", "number", number),
        ("About", "richText"),
        ("Contacts", "multipleRecordLinks", base.link("Companies", "Contacts", "Contacts", "Company")),
        ("Deals", "multipleRecordLinks", base.link("Companies", "Deals", "Deals", "Company")),
        ("How many deals", "count", through("Companies", "Deals")),
        ("Total value", "rollup", through("Companies", "Deals", "Deals", "Amount", formula="SUM(values)",
                                          result={"type": "currency", "options": money})),
        ("Source", "externalSyncSource", {"choices": ["Trade fair list"]}),
        ("Brief", "aiText", {"prompt": ["Describe the company ", {"field": {"fieldId": field("Companies", "Name")}}]}),
        ("Created by", "createdBy"),
        ("Last modified by", "lastModifiedBy"),
    ], "Who we sell to")
    base.table("Contacts", [
        ("Name", "singleLineText"),
        ("Email", "email"),
        ("Phone", "phoneNumber"),
        ("Company", "multipleRecordLinks", base.link("Contacts", "Company", "Companies", "Contacts", single=True)),
        ("Industry", "multipleLookupValues", through("Contacts", "Company", "Companies", "Industry",
                                                     result={"type": "singleLineText"})),
        ("Newsletter", "checkbox", {"icon": "check", "color": "greenBright"}),
        ("Badge", "barcode"),
        ("Deals", "multipleRecordLinks", base.link("Contacts", "Deals", "Deals", "Contacts")),
    ], "People at those companies")
    base.table("Deals", [
        ("Deal", "singleLineText"),
        ("Company", "multipleRecordLinks", base.link("Deals", "Company", "Companies", "Deals", single=True)),
        ("Contacts", "multipleRecordLinks", base.link("Deals", "Contacts", "Contacts", "Deals")),
        ("Stage", "singleSelect", {"choices": STAGES}),
        ("Amount", "currency", money),
        ("Probability", "percent", number),
        ("Expected", "formula", {
            "formula": f"{{{field('Deals', 'Amount')}}} * {{{field('Deals', 'Probability')}}}", "isValid": True,
            "referencedFieldIds": [field("Deals", "Amount"), field("Deals", "Probability")],
            "result": {"type": "currency", "options": money}}),
        ("Owner", "singleCollaborator"),
        ("Team", "multipleCollaborators"),
        ("Close date", "date", day),
        ("Fit", "rating", {"icon": "star", "color": "yellowBright", "max": 5}),
        ("Products", "multipleSelects", {"choices": ["Base", "Sync", "Portal", "Support"]}),
        ("Proposal", "multipleAttachments", {"isReversed": False}),
        ("Number", "autoNumber"),
        ("Created", "createdTime", {"result": {"type": "dateTime", "options": moment}}),
        ("Changed", "lastModifiedTime", {"isValid": True, "referencedFieldIds": [],
                                         "result": {"type": "dateTime", "options": moment}}),
        ("Mail", "button", {"label": "Write", "formula": '"mailto:?subject=" & ENCODE_URL_COMPONENT({Deal})'}),
        ("Activities", "multipleRecordLinks", base.link("Deals", "Activities", "Activities", "Deal")),
    ], "What we are selling", views=[{
        "id": make_id("viw", "open deals"), "name": "Open by amount", "type": "grid",
        "filterFormula": "AND({Stage} != 'Won', {Stage} != 'Lost')",
        "visibleFieldIds": [field("Deals", n) for n in ("Deal", "Company", "Stage", "Amount", "Close date")],
        "sorts": [{"field": field("Deals", "Amount"), "direction": "desc"}],
    }])
    base.table("Activities", [
        ("Subject", "singleLineText"),
        ("Deal", "multipleRecordLinks", base.link("Activities", "Deal", "Deals", "Activities", single=True)),
        ("Kind", "singleSelect", {"choices": ["Call", "Meeting", "E-mail", "Demo"]}),
        ("When", "dateTime", moment),
        ("Took", "duration", {"durationFormat": "h:mm"}),
        ("Notes", "multilineText"),
        ("Done", "checkbox", {"icon": "check", "color": "greenBright"}),
    ], "What was said and done")


def fill(base):
    companies, contacts = [], []
    for n in range(120):
        stem, kind = STEMS[n % len(STEMS)], KINDS[(n * 7 + n // len(STEMS)) % len(KINDS)]
        name = f"{stem} {kind}"
        shown = name
        if n % 29 == 28:  # a duplicate with another spelling
            stem, kind = companies[n // 3][1].split(" ", 1)
            shown = f"{stem} {kind}, Inc." if n % 2 else f" {stem.upper()} {kind}"
        companies.append((n, name, base.record_id("Companies", n), kind, shown))
    deals_of = {record: [] for _, _, record, _, _ in companies}
    for n in range(260):
        first, last = rng.choice(FIRST), rng.choice(LAST)
        company = rng.choice(companies)
        domain = company[1].lower().replace(" ", "-") + ".example"
        created = iso(START + datetime.timedelta(hours=n * 5))
        record = base.add("Contacts", n, created, {
            "Name": f"{first} {last}",
            "Email": None if n % 17 == 0 else f"{first}.{last}@{domain}".lower() if n % 23 else f"{first}{last}(at){domain}",
            "Phone": phone() if n % 6 else None,
            "Company": [company[2]],
            "Newsletter": n % 3 == 0,
            "Badge": {"text": f"{100000 + n * 37}", "type": "code39"} if n % 9 == 0 else None,
        })
        contacts.append((record, company[2]))
    activities = 0
    for n in range(320):
        company = rng.choice(companies)
        people = [record for record, owner in contacts if owner == company[2]][:2]
        stage = rng.choice(STAGES)
        amount = None if n % 41 == 0 else round(rng.uniform(900, 90000), 2)
        opened = START + datetime.timedelta(hours=n * 11)
        owner = OWNERS[n % 3]
        record = base.add("Deals", n, iso(opened), {
            "Deal": f"{company[1]} {rng.choice(['rollout', 'pilot', 'renewal', 'extension'])}",
            "Company": [company[2]],
            "Contacts": people,
            "Stage": stage if n % 53 else None,
            "Amount": amount,
            "Probability": ODDS[stage] if n % 53 else None,
            "Owner": owner,
            "Team": [owner, OWNERS[(n + 1) % 3]] if n % 4 == 0 else None,
            "Close date": (opened + datetime.timedelta(days=rng.randint(20, 120))).strftime("%Y-%m-%d"),
            "Fit": rng.randint(1, 5) if n % 5 else None,
            "Products": [p for p in ("Base", "Sync", "Portal", "Support") if rng.random() < 0.4],
            "Proposal": attachment(n) if n % 80 == 0 else None,
            "Number": n + 1,
            "Created": iso(opened),
            "Changed": iso(opened + datetime.timedelta(days=3)),
        })
        if n % 40 == 0:
            base.comments[record] = [{
                "id": make_id("com", n), "author": owner, "text": NOTES[n // 40 % len(NOTES)],
                "createdTime": iso(opened + datetime.timedelta(days=1)), "lastUpdatedTime": None,
            }]
        for _ in range(rng.randint(0, 3)):
            activities += 1
            kind = rng.choice(["Call", "Meeting", "E-mail", "Demo"])
            when = opened + datetime.timedelta(days=rng.randint(1, 60), minutes=15 * rng.randint(0, 30))
            base.add("Activities", activities, iso(when), {
                "Subject": f"{kind} about the {rng.choice(['offer', 'schedule', 'contract', 'trial'])}",
                "Deal": [record],
                "Kind": kind,
                "When": iso(when),
                "Took": rng.choice([900, 1800, 2700, 3600]),
                "Notes": rng.choice(NOTES) if activities % 4 == 0 else None,
                "Done": when < datetime.datetime(2026, 6, 1),
            })
    for n, name, record, kind, shown in companies:
        made = base.add("Companies", n, iso(START), {
            "Name": shown,
            "Industry": INDUSTRY.get(kind.split(",")[0], "Retail"),
            "Website": f"https://{name.lower().replace(' ', '-')}.example" if n % 8 else None,
            "Employees": rng.choice([12, 35, 80, 140, 420, 1300]) if n % 11 else None,
            "About": f"**{name}** works in {INDUSTRY.get(kind, 'retail').lower()}.\n" if n % 5 == 0 else None,
            "Source": "Trade fair list" if n % 10 == 0 else None,
            "Brief": {"state": "empty", "isStale": False, "value": None} if n % 30 == 0 else None,
            "Created by": OWNERS[n % 3],
            "Last modified by": OWNERS[(n + 1) % 3],
        })
        assert made == record


def attachment(n):
    name = f"proposal-{n // 80 + 1}.txt"
    return [{"id": make_id("att", n), "url": f"sales-files/{name}", "filename": name, "type": "text/plain"}]


base = Base("Sales")
schema(base)
fill(base)
base.write("sales.json")
