"""Paths or addresses of the pages of the documentation, which a wheel does not contain."""

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path


@cache
def page(name: str, folder: Path = Path(__file__).parents[1] / "docs") -> str:
    """Returns the path of a page in a clone, else its address in the repository.

    Args:
        name: name of the page, such as ``vectors.md``.
        folder: folder of the pages in a clone.
    """
    if (folder / name).is_file():
        return f"docs/{name}"
    try:
        urls = metadata("lstm-conformance").get_all("Project-URL") or []
    except PackageNotFoundError:
        urls = []
    repository = next((url.partition(", ")[2] for url in urls if url.startswith("Repository, ")), "")
    return f"{repository}/blob/main/docs/{name}" if repository else f"docs/{name}"
