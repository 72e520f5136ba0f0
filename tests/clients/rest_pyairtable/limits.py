"""Rate limits: the answer, that they pass, and that pyairtable's own retries get through them."""

from concurrent.futures import ThreadPoolExecutor

import requests
from workshop import BASE, part, until

ANSWER = {"errors": [{"error": "RATE_LIMIT_REACHED", "message": "Rate limit exceeded. Please try again later"}]}


def exceed(shop):
    """Asks in parallel until one is refused; the refusal."""
    headers = {"Authorization": f"Bearer {shop.token}"}
    address = f"{shop.endpoint}/v0/{BASE}/Parts/{part(1)}"

    def ask(_):
        return requests.get(address, headers=headers, timeout=20)

    with ThreadPoolExecutor(8) as pool:
        # A list, for a refusal by itself counts as false.
        return until(lambda: [a for a in pool.map(ask, range(16)) if a.status_code == 429], "a refusal")[0]


def answers_in_airtables_shape(shop):
    refusal = exceed(shop)
    assert refusal.json() == ANSWER, refusal.text
    assert "retry-after" not in refusal.headers


def penalty_holds_and_ends(shop):
    exceed(shop)
    plain = shop.connect(retry_strategy=None).table(BASE, "Parts")
    try:
        plain.get(part(1))
    except requests.HTTPError as fault:
        assert fault.response.status_code == 429
    else:
        raise AssertionError("a request within the penalty was answered")

    def answered():
        try:
            return plain.get(part(1))
        except requests.HTTPError:
            return None

    assert until(answered, "the end of the penalty")["id"] == part(1)


def retries_get_through(shop):
    exceed(shop)
    assert shop.parts.get(part(2))["fields"]["Name"] == "Part 02"
    assert shop.parts.update(part(2), {"Name": "Through"})["fields"]["Name"] == "Through"


STEPS = [answers_in_airtables_shape, penalty_holds_and_ends, retries_get_through]
