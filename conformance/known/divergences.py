"""Known divergences of released implementations: data, one YAML file for each implementation.

An entry excuses the deviation that it describes: other tensors that deviate, other versions and other cases still
fail, and a matching case that passes is ``fixed``, a failure until the entry goes. Most entries also say what the
tensors then are: those of a defect of the catalogue, those of less precise arithmetic. Anything else fails.
``conformance.known.expected`` decides.
"""

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from conformance.cases.case import Case
from conformance.cases.features import FEATURES, features
from conformance.errors import UserError

FOLDER = Path(__file__).with_name("entries")
REPRODUCTIONS = Path(__file__).with_name("reproductions")
Profiles = Literal["float32", "tf32", "float16", "bfloat16"]


def _specifier(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise ValueError(f"{text!r} is not a range of versions such as '>=3.0,<3.16'") from error
    return text


class Divergence(BaseModel):
    """One known deviation."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)

    id: str
    """A short name, unique."""
    implementation: str
    """The implementation's name, `*` standing for anything."""
    package: str
    """What is imported, or the npm package: the version of its distribution decides."""
    versions: Annotated[str, AfterValidator(_specifier)]
    """Which versions have it, such as `>=3.0,<3.16`."""
    cases: dict[str, Any] = Field(default_factory=dict)
    """The case's options that it takes; a list stands for any of its values."""
    features: list[str] = Field(default_factory=list)
    """What the case has, as named in `conformance.cases.features`: all of them."""
    unless: dict[str, Any] = Field(default_factory=dict)
    """Options of which a case that has all does not show it, such as `seq_len: 1` of a wrong direction."""
    always: bool = True
    """Whether every such case shows it. If not, since it depends on values, one that passes is no news. One with
    `defects` is asked for where they would be seen."""
    tensors: list[str] = Field(default_factory=list)
    """The tensors that deviate, `*` standing for anything."""
    defects: list[str] = Field(default_factory=list)
    """The defects of the catalogue that it behaves like: the tensors are then theirs, within budget."""
    profile: Profiles | None = None
    """The less precise arithmetic whose budget the tensors still keep."""
    error_ratio: Annotated[float, Field(gt=1)] | None = None
    """The largest error ratio that it reaches."""
    error: str | None = None
    """For one that raises: a regular expression found in its message."""
    what: str
    """What the implementation does, in a sentence."""
    reason: str
    """Why it does so, as far as is known."""
    upstream: str
    """A link to where it was reported, or `none found`."""
    reproduction: str
    """A file in `known/reproductions` that shows it with the framework and NumPy alone."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        unknown = [option for option in {**self.cases, **self.unless} if option not in Case.model_fields]
        if unknown:
            raise ValueError(f"a case has no option {unknown[0]!r}")
        unknown = [feature for feature in self.features if feature not in FEATURES]
        if unknown:
            raise ValueError(f"there is no feature {unknown[0]!r}")
        if not (self.cases or self.features):
            raise ValueError("cases must name at least one option, or features one feature")
        if bool(self.tensors) == (self.error is not None):
            raise ValueError("give either tensors or error")
        if self.error is not None:
            if self.predicts:
                raise ValueError("where it raises there are no tensors to predict")
            re.compile(self.error)
        return self

    def covers(self, case: Case, implementation: str, version_of: Callable[[str], str]) -> bool:
        """Whether this case on this implementation is expected to show it."""
        if not fnmatchcase(implementation, _literal_brackets(self.implementation)):
            return False
        options = case.model_dump(mode="json")

        def has(wanted: Mapping[str, Any]) -> bool:
            return all(_matches(options[name], value) for name, value in wanted.items())

        return (
            has(self.cases)
            and set(self.features) <= set(features(case))
            and not (self.unless and has(self.unless))
            and self._concerns(version_of(self.package))
        )

    @property
    def predicts(self) -> bool:
        """Whether it says what the tensors are, not only which of them deviate."""
        return bool(self.defects or self.profile or self.error_ratio)

    def raises(self, message: str) -> bool:
        """Whether an error of this message is this one."""
        return self.error is not None and re.search(self.error, message) is not None

    def concerns(self, tensor: str) -> bool:
        """Whether a tensor is one of those that deviate."""
        return any(fnmatchcase(tensor, glob) for glob in self.tensors)

    def _concerns(self, version: str) -> bool:
        try:
            return Version(version) in SpecifierSet(self.versions, prereleases=True)
        except InvalidVersion:
            return False


@cache
def shipped() -> tuple[Divergence, ...]:
    """The divergences that come with the suite."""
    return tuple(entry for path in sorted(FOLDER.glob("*.yaml")) for entry in load(path))


def load(path: Path) -> list[Divergence]:
    """The divergences of one file.

    Raises:
        UserError: the file is not what it should be; the message says what is wrong.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: {error}") from error
    if not (isinstance(content, Mapping) and isinstance(content.get("divergences"), list)):
        raise UserError(f"{path}: must hold a list of divergences")
    try:
        entries = [Divergence.model_validate(entry) for entry in content["divergences"]]
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise UserError(f"{path}: {wrong}") from error
    return entries


def _literal_brackets(name: str) -> str:
    """``[`` opens a character class for fnmatch, and a back end in an implementation's name."""
    return name.replace("[", "[[]")


def _matches(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return any(_matches(value, item) for item in wanted)
    return wanted in value if isinstance(value, list) else bool(value == wanted and type(value) is type(wanted))
