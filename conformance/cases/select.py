"""Which cases run on which implementation: ``-k``, ``--tag``, ``--dtype``, and an adapter's default tag."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from conformance.cases.case import Case
from conformance.errors import UserError

Predicate = Callable[[str], bool]

_DEEPEST = 50
_TOKEN = re.compile(r"\s*(?:(?P<paren>[()])|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<word>[^\s()'\"]+))")


@dataclass(frozen=True)
class Selection:
    """What is asked for. Empty fields select everything.

    Attributes:
        expression: of ``-k``: ``and``, ``or``, ``not`` and parentheses over parts of a case's id, its tags and the
            implementation's name, regardless of capitals.
        tags: a case must have one of them.
        dtypes: a case must be in one of them.
    """

    expression: str = ""
    tags: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()

    def cases(self, cases: Iterable[Case], implementation: str = "") -> list[Case]:
        """Those of the cases that are selected.

        Raises:
            UserError: the expression cannot be read.
        """
        matches = compile_expression(self.expression)
        return [
            case
            for case in cases
            if (not self.tags or set(self.tags) & set(case.tags))
            and (not self.dtypes or case.dtype in self.dtypes)
            and matches("\n".join((case.id, *case.tags, implementation)))
        ]


def compile_expression(expression: str) -> Predicate:
    """A test of a text, from words joined by ``and``, ``or``, ``not`` and parentheses.

    A word holds when the text contains it; one with ``::`` when a line of the text is that id, or ends in it behind a
    ``/``. Quotes allow blanks and parentheses in it. An empty expression holds always.

    Raises:
        UserError: the expression cannot be read; the message says where.
    """
    if not expression.strip():
        return lambda _: True
    if expression.count("(") > _DEEPEST:
        raise UserError(f"-k cannot be read, it has more than {_DEEPEST} parentheses")
    return _Parser(expression).parse()


class _Parser:
    """Recursive descent: ``or`` binds weakest, then ``and``, then ``not``."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens: list[tuple[str, str, int]] = []  # kind, text, column
        position = 0
        while expression[position:].strip():
            found = _TOKEN.match(expression, position)
            if found is None:
                raise self._error("a quote is not closed", position)
            kind = found.lastgroup or ""
            text, column = found[kind], found.start(kind)
            if kind == "word" and text.lower() in ("and", "or", "not"):
                kind = text = text.lower()
            self._tokens.append((kind, text, column))
            position = found.end()
        self._next = 0

    def parse(self) -> Predicate:
        predicate = self._or()
        if self._next < len(self._tokens):
            _, text, column = self._tokens[self._next]
            raise self._error(
                f"{text!r} needs 'and' or 'or' before it" if text != ")" else "')' closes nothing", column
            )
        return predicate

    def _or(self) -> Predicate:
        terms = [self._and()]
        while self._take("or"):
            terms.append(self._and())
        return terms[0] if len(terms) == 1 else lambda text: any(term(text) for term in terms)

    def _and(self) -> Predicate:
        terms = [self._not()]
        while self._take("and"):
            terms.append(self._not())
        return terms[0] if len(terms) == 1 else lambda text: all(term(text) for term in terms)

    def _not(self) -> Predicate:
        negations = 0
        while self._take("not"):
            negations += 1
        term = self._term()
        return (lambda text: not term(text)) if negations % 2 else term

    def _term(self) -> Predicate:
        if self._take("("):
            predicate = self._or()
            if not self._take(")"):
                raise self._error("a '(' is not closed", len(self._expression))
            return predicate
        if self._next == len(self._tokens):
            raise self._error("a word is missing", len(self._expression))
        kind, text, column = self._tokens[self._next]
        if kind not in ("word", "single", "double"):
            raise self._error(f"a word is missing before {text!r}", column)
        self._next += 1
        word = text.lower()
        if "::" in word[:-2]:
            return lambda text: any(f"/{line}".endswith(f"/{word}") for line in text.lower().split("\n"))
        return lambda text: word in text.lower()

    def _take(self, text: str) -> bool:
        if self._next < len(self._tokens):
            kind, found, _ = self._tokens[self._next]
            if found == text and kind in ("paren", text):
                self._next += 1
                return True
        return False

    def _error(self, what: str, column: int) -> UserError:
        pointer = " " * column + "^"
        return UserError(f"-k cannot be read, {what}:\n  {self._expression}\n  {pointer}")
