"""Tool profiles: which files another tool is told of, and where they are as that tool sees them.

A profile is a table `[tools.NAME]` of the configuration. Pure: paths here are texts, of systems that may not
be ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from registry.errors import BadRequest, NotFound
from registry.formats.nsfw import LEVELS, XXX, read_level
from registry.identify.names import ARCHITECTURES, KINDS
from registry.wire.natural import sort_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from registry.shown import Entry

SLASH: Final = "/"
BACKSLASH: Final = "\\"

# The limits that can be set, by name. What Civitai blocked is within none of them.
NSFW_LEVELS: Final[Mapping[str, int]] = {name: level for name, level in LEVELS.items() if level <= XXX}

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_KEY: Final = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_MAX_PATH: Final = 4096
_SHOWN: Final = 40
# What begins a path of Windows: a drive, or a share.
_WINDOWS: Final = re.compile(r"[A-Za-z]:(?:[\\/]|\Z)|\\\\")


def _natural(path: str, separator: str) -> tuple[object, ...]:
    folder, _, name = path.rpartition(SLASH)
    return (sort_key(folder.replace(SLASH, separator), name),)


def _by_code_points(path: str, separator: str) -> tuple[object, ...]:
    return (path.replace(SLASH, separator),)


def _by_folded_name(path: str, _separator: str) -> tuple[object, ...]:
    return (path.casefold(), path)


# Each dialect and how it sorts the files of a root.
DIALECTS: Final[Mapping[str, Callable[[str, str], tuple[object, ...]]]] = {
    "a1111": _natural,
    "civitai": _natural,
    "comfyui": _by_code_points,
    "invokeai": _by_folded_name,
    "miaohua": _natural,
    "novita": _natural,
    "sdnext": _natural,
    "swarmui": _by_folded_name,
}


@dataclass(frozen=True, slots=True)
class Profile:
    """What a tool is told of.

    `roots` are labels in the order of the tool; `Entry.root` counts in it. `prefix` has the absolute path of
    each as that tool sees it, `separator` stands between the parts of all its paths. An empty `kinds` or
    `architectures` admits all. `nsfw_pictures` and `nsfw_entries` are the highest of `NSFW_LEVELS` that are
    sent, `None` where the limits of the server hold.
    """

    name: str
    dialect: str
    roots: tuple[str, ...]
    prefix: Mapping[str, str]
    separator: str = SLASH
    kinds: frozenset[str] = field(default_factory=frozenset)
    architectures: frozenset[str] = field(default_factory=frozenset)
    nsfw_pictures: int | None = None
    nsfw_entries: int | None = None

    def relative(self, entry: Entry) -> str:
        """Return the path of a file within its root."""
        return entry.path.replace(SLASH, self.separator)

    def absolute(self, entry: Entry) -> str:
        """Return the whole path of a file as the tool sees it."""
        return self.whole(entry.root, entry.path)

    def whole(self, place: int, path: str) -> str:
        """Return the whole path of what is at `path`, with `/`, below the root at a place."""
        root = self.prefix[self.roots[place]]
        if is_windows(root):
            root = root.replace(SLASH, self.separator).replace(BACKSLASH, self.separator)
        return root.rstrip(self.separator) + self.separator + path.replace(SLASH, self.separator)

    def admits(self, entry: Entry) -> bool:
        """Tell whether the tool is told of a file; one whose level nothing tells passes every limit."""
        level = entry.shown.nsfw_level
        return (
            0 <= entry.root < len(self.roots)
            and (not self.kinds or entry.kind in self.kinds)
            and (not self.architectures or entry.architecture in self.architectures)
            and (self.nsfw_entries is None or level is None or level <= self.nsfw_entries)
        )

    def arranged(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return those that are admitted, root by root, in the order of the dialect within each."""
        order = DIALECTS[self.dialect]
        admitted = filter(self.admits, entries)
        return sorted(admitted, key=lambda entry: (entry.root, *order(entry.path, self.separator)))


def is_windows(path: str) -> bool:
    """Tell whether a path is one of Windows: it begins with a drive or a share."""
    return _WINDOWS.match(path) is not None


def check_tool(name: str, tools: Collection[str]) -> None:
    """Raise NotFound, which names those there are, unless a tool has that name."""
    if name not in tools:
        # What cannot be a name is not repeated: it may be a secret in the wrong place.
        told = f"there is no tool {name!r}" if _NAME.fullmatch(name) else "there is no such tool"
        there_are = f"there are {', '.join(tools)}" if tools else "write [tools.NAME] in the configuration"
        raise NotFound(told, remedy=there_are)


def parse_profiles(tables: object, roots: Mapping[str, str]) -> dict[str, Profile]:
    """Read all of `[tools]` by name, as `parse_profile` does. Raises BadRequest."""
    if not isinstance(tables, dict):
        raise BadRequest("tools: not a table.", remedy="Write [tools.NAME] and its keys below.")
    return {name: parse_profile(name, table, roots) for name, table in tables.items()}


def parse_profile(name: str, table: object, roots: Mapping[str, str]) -> Profile:
    """Read one `[tools.NAME]`.

    `roots` has the absolute path of each root of the catalog by label, in the catalog's order: all of them
    count where `roots` is left out, and their paths where `prefix` says nothing. Raises BadRequest that names
    the key and what it may be.
    """
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"tools.{_quoted(name)}: not a name that can stand in an address.",
            remedy="Use up to 40 of a-z, 0-9, - and _, beginning with a letter or digit.",
        )
    if not isinstance(table, dict):
        raise _bad(name, None, "not a table", f"Write [tools.{name}] and its keys below.")
    for key in table:
        if key not in _KEYS:
            raise _bad(name, key, "no such key", f"There are {', '.join(_KEYS)}.")
    dialect = _dialect(name, table)
    chosen = _roots(name, table, roots)
    prefix = _prefix(name, table, {label: roots[label] for label in chosen})
    return Profile(
        name=name,
        dialect=dialect,
        roots=chosen,
        prefix=prefix,
        separator=_separator(name, table, prefix),
        kinds=_some_of(name, table, "kinds", KINDS),
        architectures=_some_of(name, table, "architectures", ARCHITECTURES),
        nsfw_pictures=_level(name, table, "nsfw_pictures"),
        nsfw_entries=_level(name, table, "nsfw_entries"),
    )


_KEYS: Final = (
    "dialect", "roots", "prefix", "separator", "kinds", "architectures", "nsfw_pictures", "nsfw_entries",
)  # fmt: skip


def _dialect(name: str, table: Mapping[str, object]) -> str:
    dialect = table.get("dialect")
    remedy = f"It may be {', '.join(DIALECTS)}."
    if dialect is None:
        raise _bad(name, "dialect", "missing", remedy)
    if not isinstance(dialect, str) or dialect not in DIALECTS:
        raise _bad(name, "dialect", f"{_quoted(dialect)} is none", remedy)
    return dialect


def _roots(name: str, table: Mapping[str, object], known: Mapping[str, str]) -> tuple[str, ...]:
    labels = _texts(name, table, "roots", known) if "roots" in table else tuple(known)
    if not labels and "roots" in table:
        raise _bad(name, "roots", "empty", "Leave the key out for all roots.")
    return labels


def _prefix(name: str, table: Mapping[str, object], chosen: Mapping[str, str]) -> dict[str, str]:
    told = table.get("prefix", {})
    if not isinstance(told, dict):
        raise _bad(name, "prefix", "not a table", 'Write prefix = { LABEL = "/path/there" }.')
    for label, path in told.items():
        key = f"prefix.{label}"
        if label not in chosen:
            raise _bad(name, key, "no root of this tool", f"There are {', '.join(chosen) or 'none'}.")
        if not isinstance(path, str) or not 0 < len(path) <= _MAX_PATH or "\x00" in path:
            raise _bad(name, key, "not a path", "It is a text.")
        if not (path.startswith(SLASH) or is_windows(path)):
            raise _bad(
                name,
                key,
                f"{_quoted(path)} is not absolute",
                r"Begin it with / or with a drive, as in D:\loras.",
            )
    return {label: told.get(label, path) for label, path in chosen.items()}


def _separator(name: str, table: Mapping[str, object], prefix: Mapping[str, str]) -> str:
    windows = {is_windows(path) for path in prefix.values()}
    told = table.get("separator")
    if told is None:
        if len(windows) > 1:
            raise _bad(
                name, "prefix", "paths of two systems", "Give each root its path on that tool's system."
            )
        return BACKSLASH if True in windows else SLASH
    if told not in (SLASH, BACKSLASH):
        raise _bad(name, "separator", f"{_quoted(told)} is none", r"It may be '/' or '\'.")
    if told == BACKSLASH and False in windows:
        raise _bad(
            name, "separator", "a backslash, while a root has a path with /", "Set prefix for that root too."
        )
    return str(told)


def _some_of(name: str, table: Mapping[str, object], key: str, known: Iterable[str]) -> frozenset[str]:
    return frozenset(_texts(name, table, key, known) if key in table else ())


def _texts(name: str, table: Mapping[str, object], key: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return a list of known words, each once."""
    given, words = table[key], tuple(known)
    remedy = f"There are {', '.join(words) or 'none'}."
    if not isinstance(given, list):
        raise _bad(name, key, "not a list", remedy)
    for word in given:
        if not isinstance(word, str) or word not in words:
            raise _bad(name, key, f"{_quoted(word)} is not known", remedy)
    if len(set(given)) < len(given):
        raise _bad(name, key, "names one twice", "Name each once.")
    return tuple(given)


def _level(name: str, table: Mapping[str, object], key: str) -> int | None:
    given = table.get(key)
    if given is None:
        return None
    try:
        return read_level(given if isinstance(given, str) else "", NSFW_LEVELS)
    except BadRequest:
        remedy = f"It may be {', '.join(NSFW_LEVELS)}."
        raise _bad(name, key, f"{_quoted(given)} is no level", remedy) from None


def _bad(name: str, key: str | None, what: str, remedy: str) -> BadRequest:
    where = (
        f"tools.{name}" if key is None else f"tools.{name}.{key if len(key) <= _MAX_KEY else key[:_MAX_KEY]}"
    )
    return BadRequest(f"{where}: {what}.", remedy=remedy)


_MAX_KEY: Final = 60


def _quoted(value: object) -> str:
    if isinstance(value, str):
        return ascii(value if len(value) <= _SHOWN else value[:_SHOWN] + "...")
    return f"a value of type {type(value).__name__}"
