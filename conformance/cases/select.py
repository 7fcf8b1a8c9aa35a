"""Selection of cases: ``-k``, ``--tag``, ``--dtype``, and an adapter's default tag."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from conformance.cases.case import Case
from conformance.errors import UserError

Predicate = Callable[[str], bool]

_MAX_PARENTHESES = 50
_TOKEN = re.compile(r"\s*(?:(?P<paren>[()])|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<word>[^\s()'\"]+))")


@dataclass(frozen=True)
class Selection:
    """Conditions that a case must meet. An empty field selects every case.

    Attributes:
        expression: expression of ``-k``, see ``compile_expression``. It is matched against the case's id, its tags and
            the implementation's name.
        tags: tags. The case must have at least one of them.
        dtypes: dtypes. The case must have one of them.
    """

    expression: str = ""
    tags: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()

    def cases(self, cases: Iterable[Case], implementation: str = "") -> list[Case]:
        """Returns the selected cases.

        Raises:
            UserError: the expression is invalid.
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
    """Compiles an expression to a predicate on a text. Matching ignores case.

    An expression consists of words, ``and``, ``or``, ``not`` and parentheses. Words in quotes may contain spaces and
    parentheses. A word matches a text that contains it. An id ``file::name`` matches a line that equals the id or ends
    in ``/`` and the id. An empty expression matches every text.

    Raises:
        UserError: the expression is invalid. The message shows the position.
    """
    if not expression.strip():
        return lambda _: True
    if expression.count("(") > _MAX_PARENTHESES:
        raise UserError(f"invalid -k expression: more than {_MAX_PARENTHESES} parentheses")
    return _Parser(expression).parse()


class _Parser:
    """Recursive-descent parser. ``not`` binds tighter than ``and``, and ``and`` tighter than ``or``."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens: list[tuple[str, str, int]] = []  # kind, text, column
        position = 0
        while expression[position:].strip():
            found = _TOKEN.match(expression, position)
            if found is None:
                raise self._error("missing closing quote", position)
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
            raise self._error(f"expected 'and' or 'or' before {text!r}" if text != ")" else "unmatched ')'", column)
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
                raise self._error("missing closing ')'", len(self._expression))
            return predicate
        if self._next == len(self._tokens):
            raise self._error("expected a word at the end", len(self._expression))
        kind, text, column = self._tokens[self._next]
        if kind not in ("word", "single", "double"):
            raise self._error(f"expected a word before {text!r}", column)
        self._next += 1
        word = text.lower()
        if "::" in word[:-2]:
            return lambda text: any(f"/{line}".endswith(f"/{word}") for line in text.lower().split("\n"))
        return lambda text: word in text.lower()

    def _take(self, text: str) -> bool:
        """Consumes the next token if it is this operator or parenthesis. Returns whether it was."""
        if self._next < len(self._tokens):
            kind, found, _ = self._tokens[self._next]
            if found == text and kind in ("paren", text):
                self._next += 1
                return True
        return False

    def _error(self, what: str, column: int) -> UserError:
        """Returns an error that points to a column of the expression."""
        pointer = " " * column + "^"
        return UserError(f"invalid -k expression: {what}\n  {self._expression}\n  {pointer}")
