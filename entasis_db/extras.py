"""Libraries that not everybody has: what needs one that is missing says which extra brings it."""

from collections.abc import Iterator
from contextlib import contextmanager

from entasis_db.errors import EntasisError


class MissingExtraError(EntasisError, ImportError):
    """A library of an extra of entasis-db is not installed, or cannot be imported."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Have imports in this block say which extra they need.

    Raises MissingExtraError for an import that fails.
    """
    try:
        yield
    except MissingExtraError:
        raise
    except ImportError as error:
        # a library may be there, and one that it is linked with not
        what = (
            f"{(error.name or 'a library').partition('.')[0]} is not installed"
            if isinstance(error, ModuleNotFoundError)
            else f"a library cannot be imported ({' '.join(str(error).split())})"
        )
        raise MissingExtraError(
            f"{what}: pip install 'entasis-db[{name}]'", name=error.name
        ) from error
