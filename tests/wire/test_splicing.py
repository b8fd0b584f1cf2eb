"""JSON that is text already goes into a message as it is; JSON of others is made safe for every client."""

from __future__ import annotations

import json
import re

import pytest
import ujson

from scalemgr.wire.messages import Json, encode, response, safe


def test_spliced() -> None:
    """Members of an object that are Json go in byte for byte, in their place; the others are encoded as ever."""
    rows = Json('[[1,2.50,"O\\u0027Brien"],[]]')
    text = encode({"structure": ["a", "it's"], "rows": rows, "count": 2, 'q"': Json("null")})
    assert text == '{"structure":["a","it\\u0027s"],"rows":[[1,2.50,"O\\u0027Brien"],[]],"count":2,"q\\"":null}'
    assert type(text) is Json
    assert json.loads(text)["rows"] == [[1, 2.5, "O'Brien"], []]


def test_others_are_refused_as_ever() -> None:
    """Beside text that goes in as it is, what is no JSON value is refused."""
    for wrong in (float("nan"), float("inf"), object(), {1}):
        with pytest.raises(ValueError):
            encode({"rows": Json("[]"), "x": wrong})


def test_response() -> None:
    """An answer with such members is one line."""
    assert response(Json('"x"'), 200, {"rows": Json("[1]"), "n": 1}) == (
        b'{"extID":"x","status":200,"data":{"rows":[1],"n":1}}\r\n'
    )


@pytest.mark.parametrize(
    "text", ["[]", '[["a, b",1]]', '{"a":"x\\u0027y","b":[1.0,null]}', '["\\u002c }"]', '["}, x"]']
)
def test_safe_already(text: str) -> None:
    """What is safe stays as it is, to the byte."""
    assert safe(text) == text
    assert type(safe(text)) is Json


@pytest.mark.parametrize("inside", ["it's", "Демо", "\U0001f600", "a,}", "a,]", "a, ]", "a,   }", "\u2028"])
def test_made_safe(inside: str) -> None:
    """What is not is written anew, and says the same."""
    for value in ([inside], {"a": [[inside, 1.5]]}):
        made = safe(ujson.dumps(value, ensure_ascii=False))
        assert json.loads(made) == value
        assert made.isascii()
        assert not re.search(r"'|,\s*[}\]]", made)


def test_no_json() -> None:
    """What has to be written anew and is no JSON is an error."""
    with pytest.raises(ValueError):
        safe("['a']")


@pytest.mark.parametrize("piece", range(1, 9))
@pytest.mark.parametrize("inside", ["a,}", "a,]", "a, ]", "a,  }"])
def test_piece_by_piece(monkeypatch: pytest.MonkeyPatch, piece: int, inside: str) -> None:
    """What is not safe is found wherever it is, also across two of the pieces that are looked through."""
    monkeypatch.setattr("scalemgr.wire.messages._PIECE", piece)
    for shift in range(9):
        made = safe(ujson.dumps(["x" * shift + ", y", inside]))
        assert "\\u002c" in made
        assert json.loads(made)[1] == inside
        assert safe(ujson.dumps(["x" * shift + ", y"])) == ujson.dumps(["x" * shift + ", y"])
