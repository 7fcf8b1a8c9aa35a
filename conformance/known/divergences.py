"""Known divergences of released implementations: data, one YAML file per framework.

A divergence describes one deviation of some released versions. It matches a case if the case's options and the
conditions on its problem match. A matching case is then expected to show the deviation: its result is ``known`` if it
does and ``fixed`` if it does not. Other tensors, other versions and other cases still fail. A divergence also predicts
the values of the deviating tensors, or says why nothing can. ``conformance.known.expected`` compares solutions with
these predictions.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
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
from conformance.cases.yamlfile import LOADER
from conformance.errors import UserError
from conformance.known.conditions import CONDITIONS
from conformance.verdict.judge import is_declaration

FOLDER = Path(__file__).with_name("entries")
REPRODUCTIONS = Path(__file__).with_name("reproductions")
_LINK = r"https://\S+"
Profiles = Literal["float32", "tf32", "float16", "bfloat16"]


def _specifier(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise ValueError(f"{text!r} is not a version range such as '>=3.0,<3.16'") from error
    return text


def _upstream(text: str) -> str:
    if not re.fullmatch(rf"{_LINK}|none as of \d{{4}}-\d{{2}}", text):
        raise ValueError(f"{text!r} is neither a link nor 'none as of YYYY-MM', the month of the last search")
    return text


class Divergence(BaseModel):
    """One known deviation of some released versions of an implementation."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    id: str
    """Unique short name."""
    implementation: str
    """Name of the implementation; `*` matches any characters."""
    excluding: str = ""
    """Names that `implementation` matches but that do not deviate; `*` matches any characters."""
    package: str
    """Imported module or npm package that `versions` refers to."""
    versions: Annotated[str, AfterValidator(_specifier)]
    """Range of affected versions, such as `>=3.0,<3.16`."""
    since: Literal["first affected", "oldest tested"] | None = None
    """Meaning of the lower end of `versions`: the first affected release, or the oldest one that runs here, if it is
    already affected. Unset if no earlier release was tested."""
    history: str = ""
    """Behavior of other releases, such as a regression that was fixed in between."""
    cases: dict[str, Any] = Field(default_factory=dict)
    """Required options of the case. A list matches any of its values. A case with `refuses`, or with a size of 0,
    matches only if this option is named."""
    features: list[str] = Field(default_factory=list)
    """Required features of the case, as named in `conformance.cases.features`."""
    problem: list[str] = Field(default_factory=list)
    """Required conditions on the case's problem, as named in `conformance.known.conditions`."""
    always: bool = True
    """Whether every matching case shows the deviation. If false, a matching case that conforms passes."""
    tensors: list[str] = Field(default_factory=list)
    """Tensors that deviate; `*` matches any characters. `declared.output` is the declared shape of `output`, and
    `repeated.output` its difference between calls that an implementation promises to repeat exactly."""
    error: str | None = None
    """Regular expression for the message, if the implementation raises. With `tensors` too, it raises or deviates."""
    accepts: bool = False
    """Whether the implementation accepts the mistakes that `refuses` in `cases` names, instead of raising an error."""
    defects: list[str] = Field(default_factory=list)
    """Defects that the implementation behaves like. They predict all tensors within budget. A case is expected to show
    the deviation only if it detects the defects."""
    profile: Profiles | None = None
    """Less precise profile. The tensors are within its budget."""
    nan: bool = False
    """Whether only non-finite elements of the tensors deviate. All finite elements conform."""
    error_ratio: Annotated[float, Field(gt=1)] | None = None
    """Largest error ratio of the tensors."""
    unpredictable: str = ""
    """Reason why nothing predicts the values of the tensors, as a clause. They can then have any value."""
    resembles: list[str] = Field(default_factory=list)
    """Defects that deviate in the same problems, with other values. A case is expected to show the deviation only if it
    detects one of them."""
    what: str
    """Description of the wrong behavior, in a sentence."""
    reason: str
    """Cause of the deviation, as far as it is known."""
    upstream: Annotated[str, AfterValidator(_upstream)]
    """Link to the upstream report of this deviation, or `none as of YYYY-MM`: the month in which the issue trackers
    were last searched for its symptoms."""
    related: list[Annotated[str, Field(pattern=f"^{_LINK}$")]] = Field(default_factory=list)
    """Links to upstream threads about the cause, or about the same symptom elsewhere."""
    found: date | None = None
    """Day on which the entry was recorded."""
    reproduction: str
    """File in `known/reproductions` that shows the deviation. It needs only the framework and NumPy."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known_names = {
            "option": (self.cases, Case.model_fields),
            "feature": (self.features, FEATURES),
            "condition": (self.problem, CONDITIONS),
        }
        for kind, (used, known) in known_names.items():
            if unknown := [name for name in used if name not in known]:
                raise ValueError(f"there is no {kind} {unknown[0]!r}")
        if not (self.cases or self.features or self.problem):
            raise ValueError("give at least one of cases, features and problem")
        if not self.tensors and self.error is None and not self.accepts:
            raise ValueError("give tensors, error or both, or accepts")
        if self.accepts and not self.cases.get("refuses"):
            raise ValueError("accepts needs refuses in cases")
        values = ("defects", "profile", "nan", "error_ratio", "unpredictable")
        given = [name for name in values if getattr(self, name)]
        if given and not self.tensors:
            raise ValueError(f"{given[0]} needs tensors")
        if len(given) > 1:
            raise ValueError(f"{given[0]} cannot be combined with {given[1]}")
        if self.error is not None:
            re.compile(self.error)
        return self

    def is_of(self, implementation: str) -> bool:
        """Returns whether an implementation is one of those that show this divergence."""
        return _is_named(implementation, self.implementation) and not _is_named(implementation, self.excluding)

    def matches(self, case: Case, implementation: str, version_of: Callable[[str], str]) -> bool:
        """Returns whether a case is expected to show this divergence on an implementation."""
        if not self.is_of(implementation):
            return False
        if case.refuses and "refuses" not in self.cases:
            return False
        if case.is_empty and self.cases.keys().isdisjoint(("seq_len", "batch")):
            return False
        options = case.model_dump(mode="json", include=set(self.cases))
        return (
            all(_matches(options[name], value) for name, value in self.cases.items())
            and set(self.features) <= set(features(case))
            and all(CONDITIONS[name](case) for name in self.problem)
            and self.affects(version_of(self.package))
        )

    def raises(self, message: str) -> bool:
        """Returns whether an error message matches this divergence."""
        return self.error is not None and re.search(self.error, message) is not None

    @property
    def ends_process(self) -> bool:
        """Whether the implementation can end its process."""
        return any(self.raises(f"died of {signal}") for signal in ("SIGABRT", "SIGFPE", "SIGSEGV"))

    def concerns(self, tensor: str) -> bool:
        """Returns whether a tensor, or a declaration about one, is among those that deviate."""
        globs = [glob for glob in self.tensors if is_declaration(glob) == is_declaration(tensor)]
        return any(fnmatchcase(tensor, glob) for glob in globs)

    @property
    def is_reported(self) -> bool:
        """Whether an upstream report describes this divergence."""
        return re.fullmatch(_LINK, self.upstream) is not None

    def affects(self, version: str) -> bool:
        """Returns whether a version is in the range of affected versions."""
        try:
            return Version(version) in SpecifierSet(self.versions, prereleases=True)
        except InvalidVersion:
            return False


@cache
def shipped() -> tuple[Divergence, ...]:
    """Returns the divergences that come with the suite."""
    return tuple(entry for path in sorted(FOLDER.glob("*.yaml")) for entry in load(path))


def load(path: Path) -> list[Divergence]:
    """Returns the divergences of one file.

    Raises:
        UserError: The file cannot be read or contains an invalid entry.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: {error}") from error
    if not (isinstance(content, Mapping) and isinstance(content.get("divergences"), list)):
        raise UserError(f"{path}: must contain a list named divergences")
    try:
        return [Divergence.model_validate(entry) for entry in content["divergences"]]
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise UserError(f"{path}: {mistakes}") from error


@cache
def _is_named(implementation: str, glob: str) -> bool:
    """Returns whether a glob matches the name of an implementation. It has no character classes: ``[`` is literal.

    Each result of a run asks this for all divergences.
    """
    return fnmatchcase(implementation, glob.replace("[", "[[]"))


def _matches(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return any(_matches(value, item) for item in wanted)
    return wanted in value if isinstance(value, list) else bool(value == wanted and type(value) is type(wanted))
