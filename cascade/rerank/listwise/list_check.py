"""Whether a model can be asked for an identifier by a prompt: the self-test of the kinds that read logits."""

from __future__ import annotations

import numpy as np

from cascade.inference.scored import PROBE, PROBE_ANSWER, PROBE_OTHER
from cascade.rerank.listwise.chat import Chat
from cascade.rerank.listwise.language_model import LanguageModel
from cascade.rerank.listwise.list_prompt import LETTERS, ListPrompt

PAIR = (PROBE_OTHER, PROBE_ANSWER)
_QUERY_SHARE = 0.25
_LEAST = 16


def most_query_tokens(model: LanguageModel) -> int:
    """A longer query is cut: a quarter of what the model reads at once."""
    return int(model.most_tokens * _QUERY_SHARE)


def problem_of(model: LanguageModel, prompt: ListPrompt, *, most: int) -> str:
    """What keeps `model` from ranking lists of up to `most` passages by `prompt`, or nothing."""
    identifiers = prompt.identifier_ids(model.chat)
    if len(identifiers) < most:
        return (
            f"its vocabulary has {len(identifiers)} of the letters {LETTERS[0]} to {LETTERS[-1]} as single tokens, "
            f"expected {most}, one for each passage of a list; use shorter lists"
        )
    room = prompt.room(model.chat, most_query_tokens(model), most, model.most_tokens)
    if room < _LEAST:
        return (
            f"it reads {model.most_tokens} tokens at once, which beside a long query leaves {room} for each of {most} "
            f"passages, expected {_LEAST} or more; use shorter lists"
        )
    if problem := prompt_problem(model.chat, prompt):
        return problem
    both = [show(model.chat, prompt, pair) for pair in (PAIR, PAIR[::-1])]
    logits = model.next_token_logits(both, identifiers[:2])
    return pair_problem([logits[0].tolist(), logits[1].tolist()])


def show(chat: Chat, prompt: ListPrompt, passages: tuple[str, ...]) -> list[int]:
    """The ids of the probe with `passages`."""
    query, _ = chat.text(PROBE)
    return chat.prompt(prompt.pieces(query, [chat.text(text)[0] for text in passages]), start=prompt.start)


def prompt_problem(chat: Chat, prompt: ListPrompt) -> str:
    """What is wrong with the prompt as the model reads it, or nothing.

    What the tokens say is compared with what the tokenizer itself makes of the conversation, spaces aside.
    """
    said = prompt.text(PROBE, PAIR)
    found = chat.written(show(chat, prompt, PAIR))
    expected = chat.templated_text(said) + prompt.start
    missing = [text for text in (PROBE, *PAIR) if "".join(text.split()) not in "".join(found.split())]
    if missing:
        return f"its prompt reads {found!r}, which lacks {missing[0]!r}; the tokenizer does not keep what it is given"
    if "".join(found.split()) != "".join(expected.split()):
        return f"its prompt reads {found!r}, but its chat template makes {expected!r}; expected the same"
    return ""


def pair_problem(answers: list[list[float]]) -> str:
    """What is wrong with the answers to the known pair in both its orders, or nothing.

    Only their sum counts: small models prefer a place, whatever stands there.
    """
    margin = (answers[0][1] - answers[0][0] + answers[1][0] - answers[1][1]) / 2
    if np.isfinite(margin) and margin > 0:
        return ""
    return (
        f"its self-test put an answer {margin:+.4f} from an unrelated passage (logits, averaged over both orders), "
        "expected it above; choose a language model that was trained to follow instructions, or another kind"
    )
