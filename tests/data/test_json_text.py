"""A key twice in one object is refused, however the text is laid out; nothing else is."""

import gc
import json
import random
import time

import orjson
import pytest

from taltool.data.json_text import collector_at_rest, count_members, refuse_repeated_keys
from taltool.errors import DataError


def test_the_collector_rests_and_is_as_before_afterwards() -> None:
    with collector_at_rest():
        assert not gc.isenabled()
        with collector_at_rest():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(DataError), collector_at_rest():
        raise DataError("broken")
    assert gc.isenabled()


def checked(text: str) -> None:
    content = text.encode()
    refuse_repeated_keys(content, count_members(orjson.loads(content)), "gt.json")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"a":1,"b":2,"a":3}', "a"),
        ('{"x": [{"y": {"b" :1, "b"\t:\n1}}]}', "b"),
        ('{"a\\u0062":1,"ab":2}', "ab"),
        ('{"é": 1, "é": 1, "x": 2, "x": 3}', "é"),
        ('{"":1,"":2}', ""),
        # As many colons in all as there would be without spaces and strings.
        ('{"a" :1,"a":2}', "a"),
        ('{"a" :1,"a":":"}', "a"),
    ],
)
def test_a_key_twice_is_named(text: str, key: str) -> None:
    with pytest.raises(DataError, match=f"^gt.json: '{key}' is there twice in one object; only the last would count$"):
        checked(text)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "3",
        '{"a":1,"b":{"a":1},"c":[{"a":1},{"a":2}]}',
        '{"url": "https://x/?a:b", "quoted": "\\"a\\": \\"a\\":", ":": " : : :", "number": 1}',
    ],
)
def test_the_same_key_in_different_objects_and_colons_in_strings_are_fine(text: str) -> None:
    checked(text)


def test_too_few_members_cost_time_only() -> None:
    refuse_repeated_keys(b'{"a":{"b":1}}', 1, "gt.json")


def drawn(rng: random.Random, depth: int) -> tuple[str, bool]:
    """A random JSON value as text with random white space, and whether an object in it has a key twice."""
    space = lambda: rng.choice(["", "", " ", "\n", "\t "])  # noqa: E731
    if depth == 0 or rng.random() < 0.2:
        return rng.choice(["1", "-2.5e3", "null", '":"', '"\\":"', '" : "', '"a\\" :"']), False
    parts = [drawn(rng, depth - 1) for _ in range(rng.randrange(4))]
    twice = any(each for _, each in parts)
    if rng.random() < 0.4:
        return "[" + ",".join(space() + text + space() for text, _ in parts) + "]", twice
    keys = [rng.choice(["a", "b", ":", '\\":', "c d", "e", "f", "g", "h"]) for _ in parts]
    members = [f'{space()}"{key}"{space()}:{space()}{text}' for key, (text, _) in zip(keys, parts, strict=True)]
    return "{" + ",".join(members) + "}", twice or len(set(keys)) < len(keys)


def test_random_documents_are_refused_exactly_where_a_key_is_twice() -> None:
    rng, refused = random.Random(0), 0
    for _ in range(2000):
        text, twice = drawn(rng, 4)
        json.loads(text)
        if twice:
            refused += 1
            with pytest.raises(DataError):
                checked(text)
        else:
            checked(text)
    assert 100 < refused < 1900


def test_many_members_take_linear_time() -> None:
    def seconds(count: int) -> float:
        text = "{" + ",".join(f'"{n}":1' for n in range(count)) + f',"{count - 1}":2}}'
        started = time.process_time()
        with pytest.raises(DataError, match=f"'{count - 1}'"):
            refuse_repeated_keys(text.encode(), count, "gt.json")
        return time.process_time() - started

    # Looking every key up in a list of the others takes an hour for as many.
    assert seconds(200_000) < 10
