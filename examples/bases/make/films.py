"""Makes films.json from `movies.db` of the Python package bokeh-sampledata 2026.1.

The data are Wikidata's (CC0). Usage: pip download --no-deps bokeh-sampledata==2026.1,
unzip bokeh_sampledata/_data/movies.db from the wheel, then: python films.py movies.db
"""

import sqlite3
import sys

from basefile import Base

FILMS = 2000
CAST = 3
CREATED = "2026-10-18T00:00:00.000Z"


def split(text):
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def main(path):
    rows = sqlite3.connect(path).execute(
        'SELECT o.imdbID, o.Title, o.Year, o.Rating, o.Runtime, o.Genre, o.Released, o.Director, o."Cast",'
        " o.Metacritic, o.Language, o.Country, o.Awards, o.Oscars, t.Meter, t.BoxOffice"
        " FROM omdb o LEFT JOIN tomatoes t ON t.ID = o.ID"
        " WHERE o.Runtime IS NOT NULL AND o.Awards IS NOT NULL"
        " ORDER BY o.Oscars DESC, t.Meter DESC, o.imdbID"
    ).fetchall()[:FILMS]
    rows.sort(key=lambda row: (row[2], row[1]))
    base = Base("Films")
    languages = sorted({name for row in rows for name in split(row[10])})
    ratings = ["G", "PG", "PG-13", "R", "NC-17"]
    base.table(
        "Films",
        [
            ("Title", "singleLineText"),
            ("Year", "number", {"precision": 0}),
            ("Released", "date", {"dateFormat": {"name": "iso", "format": "YYYY-MM-DD"}}),
            ("Minutes", "number", {"precision": 0}),
            ("Rated", "singleSelect", {"choices": ratings}),
            ("Languages", "multipleSelects", {"choices": languages}),
            ("Genres", "multipleRecordLinks", base.link("Films", "Genres", "Genres", "Films")),
            ("Countries", "multipleRecordLinks", base.link("Films", "Countries", "Countries", "Films")),
            ("Directors", "multipleRecordLinks", base.link("Films", "Directors", "People", "Directed")),
            ("Cast", "multipleRecordLinks", base.link("Films", "Cast", "People", "Played in")),
            ("Oscars", "number", {"precision": 0}, "Oscars won"),
            ("Awards", "singleLineText"),
            ("Critics", "percent", {"precision": 0}, "Share of good reviews"),
            ("Gross", "currency", {"precision": 0, "symbol": "$"}, "Largest reported gross"),
        ],
        "Films that won or were nominated for awards, 1940 to 2014",
    )
    base.table(
        "People",
        [
            ("Name", "singleLineText"),
            ("Directed", "multipleRecordLinks", base.link("People", "Directed", "Films", "Directors")),
            ("Played in", "multipleRecordLinks", base.link("People", "Played in", "Films", "Cast")),
        ],
        "Directors and actors",
    )
    for table in ("Genres", "Countries"):
        options = base.link(table, "Films", "Films", table)
        base.table(table, [("Name", "singleLineText"), ("Films", "multipleRecordLinks", options)])

    known = {"People": {}, "Genres": {}, "Countries": {}}

    def refer(table, names):
        return [known[table].setdefault(name, base.record_id(table, name)) for name in names]

    for row in rows:
        (imdb, title, year, rated, minutes, genre, released, director, cast, _, language, country, awards, oscars, meter, gross) = row
        base.add("Films", imdb, CREATED, {
            "Title": title,
            "Year": year,
            "Released": released,
            "Minutes": int(minutes),
            "Rated": rated if rated in ratings else None,
            "Languages": split(language),
            "Genres": refer("Genres", split(genre)),
            "Countries": refer("Countries", split(country)),
            "Directors": refer("People", split(director)),
            "Cast": refer("People", split(cast)[:CAST]),
            "Oscars": oscars or None,
            "Awards": awards,
            "Critics": meter / 100 if meter is not None else None,
            "Gross": int(gross) if gross else None,
        })
    for table, names in known.items():
        # The links back are completed on import: one side is enough.
        for name in sorted(names):
            base.add(table, name, CREATED, {"Name": name})
    base.write("films.json")


main(sys.argv[1])
