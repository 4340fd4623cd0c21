"""How a text is dressed for the model: e5 and its kin want to know a question from what may answer it."""

from collections.abc import Mapping

QUERY = "query"
PASSAGE = "passage"
_NAMES = {QUERY: (QUERY,), PASSAGE: (PASSAGE, "document")}
LONGEST_TEXT = 32_768


class UnusableRequest(ValueError):
    """The request itself is at fault; its message is fit for the caller."""


def dressed(text: str, kind: str, prompts: Mapping[str, str]) -> str:
    """`text` behind the prompt that the model has for its kind, or bare where the model has none.

    `prompts` are those of sentence-transformers; "" stands for `passage`. A text of more than 32768 characters is cut
    there: the model reads its first few hundred tokens in any case. Raises UnusableRequest for another kind.
    """
    names = _NAMES.get(kind or PASSAGE)
    if names is None:
        raise UnusableRequest(f"KIND must be query or passage, not {kind!r}")
    return next((prompts[name] for name in names if prompts.get(name)), "") + text[:LONGEST_TEXT]
