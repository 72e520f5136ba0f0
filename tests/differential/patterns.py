"""Compares regular expressions with RE2 itself: which are refused, and what they find.

patterns.py PROGRAM [cases] [seed]
"""

import json
import random
import subprocess
import sys

import re2

PROGRAM = sys.argv[1]
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)

ATOMS = [
    "a", "b", "ab", "é", "ß", "Ж", "日", "1", "_", " ", "\\.", "\\-", ".", "\\d", "\\D", "\\w", "\\W", "\\s", "\\S",
    "[abc]", "[^a]", "[a-z0-9]", "[[:alpha:]]", "[^[:space:]]", "[\\d\\-]", "[]a]", "[a&&b]", "\\pL", "\\p{Lu}", "\\P{L}",
    "\\p{Greek}", "\\x41", "\\x{416}", "\\Qa.b\\E", "\\t", "\\n", "^", "$", "\\b", "\\A", "\\z", "{", "}", "a{", "x{,2}",
]
REFUSED = ["(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "\\1", "(?>a)", "a*+", "a**", "(", ")", "[", "[z-a]", "\\y", "*", "a{1001}",
           "(?P<n>a", "\\p{Nope}", "(?x)a", "(?R)"]
SUFFIXES = ["", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,}", "{2}?"]
TEXTS = ["", "a", "ab", "aab abc", "b1 a.b", "line1\nline2", "Éé ß Ж 日本", "A_b-1", "x{,2} a{ }", "  tab\there", "aaaaab", "αβ ab"]


def piece(depth):
    kind = rng.random()
    if depth > 0 and kind < 0.25:
        opening = rng.choice(["(", "(?:", "(?i:", "(?s:", "(?P<g%d>" % rng.randrange(10**6)])
        return opening + pattern(depth - 1) + ")" + rng.choice(SUFFIXES)
    if kind < 0.29:
        return rng.choice(REFUSED)
    atom = rng.choice(ATOMS)
    return atom if atom in ("^", "$", "\\b", "\\A", "\\z") else atom + rng.choice(SUFFIXES)


def pattern(depth=2):
    return "|".join("".join(piece(depth) for _ in range(rng.randint(1, 3))) for _ in range(rng.choice([1, 1, 1, 2])))


def whole(expression):
    """A start of the pattern with a flag now and then."""
    return rng.choice(["", "", "", "(?i)", "(?m)", "(?s)", "(?U)"]) + expression


def wanted(expression, text):
    try:
        options = re2.Options()
        options.log_errors = False
        compiled = re2.compile(expression, options)
    except re2.error:
        return "refused", None
    found = compiled.search(text)
    return ("found", found.group(0)) if found else ("nothing", None)


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def main():
    cases = []
    while len(cases) < COUNT:
        expression, text = whole(pattern()), rng.choice(TEXTS)
        cases.append((expression, text, wanted(expression, text)))
    lines = "\n".join(
        json.dumps({"id": n, "formula": f"REGEX_EXTRACT({{S}}, {quoted(expression)})",
                    "fields": {"S": {"type": "singleLineText", "value": text}}})
        for n, (expression, text, _) in enumerate(cases)
    )
    out = subprocess.run([PROGRAM, "formula", "batch"], input=lines, capture_output=True, text=True, check=True).stdout
    answers = [json.loads(line) for line in out.splitlines()]
    differ, refused = 0, 0
    for answer in answers:
        expression, text, (kind, found) = cases[answer["id"]]
        code = answer.get("error", {}).get("code")
        refused += kind == "refused"
        got = {"bad_pattern": "refused", "no_match": "nothing"}.get(code, code or "found")
        if (got, (answer.get("value") or "") if got == "found" else None) == (kind, found):
            continue
        differ += 1
        if differ <= 20:
            print(f"{expression!r} on {text!r}: {answer}, RE2 {kind} {found!r}")
    print(f"{len(answers)} of {len(cases)} compared, {refused} refused, {differ} differ")
    sys.exit(1 if differ or len(answers) != len(cases) else 0)


main()
