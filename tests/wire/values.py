"""JSON values to try things on."""

from __future__ import annotations

from hypothesis import strategies as st

_characters = st.characters(codec="utf-8")
#: Text that is likely to hit what somebody does with quotes, commas, brackets, breaks and escapes.
texts = st.text(st.sampled_from("',}] \\\":{[\r\n\t\v\x00\x1f\x7f/u0é\u2028\u2029😀aZ") | _characters, max_size=20)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


def objectsOf(texts: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, object]]:
    """Objects with such names of members and such strings in them."""
    scalars = st.none() | st.booleans() | numbers | texts
    values = st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=8
    )
    return st.dictionaries(texts, values, max_size=4)


objects = objectsOf(texts)
#: What a client may say: without NUL.
cleanTexts = st.text(
    st.sampled_from("',}] \\\":{[\r\n\t\x1f\x7f/u0é\u2028😀aZ") | st.characters(codec="utf-8", min_codepoint=1),
    max_size=20,
)
cleanObjects = objectsOf(cleanTexts)
