"""Every exception the product raises on purpose, each with its exit code, HTTP status and problem slug.

::

    RegistryError                  1  500  internal-error
    ├── BadRequest                 2  400  bad-request        an argument, option or body that cannot be used
    ├── NotFound                   3  404  not-found          nothing has that reference, path or id
    ├── Ambiguous                  4  409  ambiguous          several things have it; `candidates` lists them
    ├── Conflict                   5  409  conflict           it is there already, or somebody else holds it
    ├── Forbidden                  6  403  forbidden          known, but not allowed to do that
    │   └── Unauthorized           6  401  unauthorized       no token, or one that is not known
    ├── CatalogError               7  503  catalog-error      the database cannot be used as it is
    │   ├── CatalogBusy            7  503  catalog-busy       locked by someone else for too long
    │   │   └── CatalogRace        7  503  catalog-race       somebody else wrote the same at the same time
    │   ├── CatalogFull            7  507  catalog-full       the disk is full; nothing was lost
    │   ├── SchemaMismatch         7  503  schema-mismatch    older or newer than this program
    │   └── UnsupportedLocation    7  503  unsupported-location  a data folder where SQLite is not safe
    ├── IndexDamaged               7  503  index-damaged      the search index cannot be read; it is made anew
    ├── IndexTaken                 5  409  index-taken        another process keeps the search index
    ├── UnreadableFile             8  422  unreadable-file    a file cannot be opened or read
    │   ├── NotARegularFile        8  422  not-a-regular-file a folder, pipe, socket or device
    │   ├── FileChanged            8  409  file-changed       it changed while it was being read
    │   ├── BadPicture             8  422  bad-picture        an image or video that cannot be decoded
    │   └── ReaderFailed           8  422  reader-failed      we failed at it in a way that we never should
    ├── UnsupportedKind            8  422  unsupported-kind   an adapter or numbers we have no mathematics for
    ├── WrongBase                  8  422  wrong-base         an adapter that does not fit a base model
    ├── CannotDraw                12  409  cannot-draw        nobody here can draw pictures
    │   ├── NoBase                12  409  no-base            no base model that a lora could be drawn on
    │   └── UnsupportedArchitecture 12 422 unsupported-architecture  a family that nobody here draws
    ├── PicturesFull               7  507  pictures-full      the pictures would take more room than they may
    ├── UnwritableFile             8  422  unwritable-file    a file beside a model cannot be written
    ├── OutboundError             11  502  outbound-failed    another server gave no whole answer
    │   ├── Offline               11  503  offline            the network is switched off for this program
    │   ├── RefusedAddress        11  502  refused-address    a host or address that is not to be contacted
    │   └── AnswerTooLarge        11  502  answer-too-large   more than anybody asked for
    ├── Cancelled                  9  409  cancelled          somebody asked to stop
    └── CannotServe               10  500  cannot-serve       port taken, or an unsafe address without a token
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class RegistryError(Exception):
    """Base of all errors: `str()` is a sentence for a person, `remedy` says what to do about it."""

    exit_code: ClassVar[int] = 1
    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class BadRequest(RegistryError):
    """An argument, option or body cannot be used."""

    exit_code = 2
    status = 400
    slug = "bad-request"


class NotFound(RegistryError):
    """Nothing has that reference, path or id."""

    exit_code = 3
    status = 404
    slug = "not-found"


class Ambiguous(RegistryError):
    """Several things answer to one reference; `candidates` are small mappings that tell them apart."""

    exit_code = 4
    status = 409
    slug = "ambiguous"

    def __init__(self, message: str, candidates: Sequence[Mapping[str, object]], *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.candidates = tuple(candidates)


class Conflict(RegistryError):
    """It is there already, or somebody else holds it."""

    exit_code = 5
    status = 409
    slug = "conflict"


class Forbidden(RegistryError):
    """The caller is known but not allowed to do that."""

    exit_code = 6
    status = 403
    slug = "forbidden"


class Unauthorized(Forbidden):
    """No token was given, or one that is not known."""

    status = 401
    slug = "unauthorized"


class CatalogError(RegistryError):
    """The database cannot be used as it is."""

    exit_code = 7
    status = 503
    slug = "catalog-error"


class CatalogBusy(CatalogError):
    """The database stayed locked by somebody else for too long; nothing was written."""

    slug = "catalog-busy"


class CatalogRace(CatalogBusy):
    """Somebody else wrote the same row at the same time; nothing was written, and trying again helps."""

    slug = "catalog-race"


class CatalogFull(CatalogError):
    """The disk is full; nothing was written and nothing was lost."""

    status = 507
    slug = "catalog-full"


class SchemaMismatch(CatalogError):
    """The database belongs to an older or newer version of this program."""

    slug = "schema-mismatch"


class UnsupportedLocation(CatalogError):
    """The data folder lies where SQLite cannot be used safely."""

    slug = "unsupported-location"


class IndexDamaged(RegistryError):
    """The search index cannot be read, or is not there yet; it is made anew from the catalog."""

    exit_code = 7
    status = 503
    slug = "index-damaged"


class IndexTaken(RegistryError):
    """Another process keeps the search index up to date."""

    exit_code = 5
    status = 409
    slug = "index-taken"


class UnreadableFile(RegistryError):
    """A file cannot be opened or read."""

    exit_code = 8
    status = 422
    slug = "unreadable-file"


class NotARegularFile(UnreadableFile):
    """The path is a folder, pipe, socket or device."""

    slug = "not-a-regular-file"


class FileChanged(UnreadableFile):
    """The file kept changing while it was being read."""

    status = 409
    slug = "file-changed"


class BadPicture(UnreadableFile):
    """An image or video cannot be decoded, or would need more than it may take; nothing is wrong with us."""

    slug = "bad-picture"


class ReaderFailed(UnreadableFile):
    """We failed at a file in a way that we know nothing of: a bug of ours, to be reported."""

    slug = "reader-failed"


class UnsupportedKind(RegistryError):
    """An adapter, or numbers, of a kind that nobody here can do the mathematics of; the file may be sound."""

    exit_code = 8
    status = 422
    slug = "unsupported-kind"


class WrongBase(RegistryError):
    """An adapter changes layers that the base model does not have, or has in another shape."""

    exit_code = 8
    status = 422
    slug = "wrong-base"


class PicturesFull(RegistryError):
    """A picture does not fit in the room that pictures may take; it was not kept, all others are."""

    exit_code = 7
    status = 507
    slug = "pictures-full"


class UnwritableFile(RegistryError):
    """A file beside a model cannot be written; nothing was changed."""

    exit_code = 8
    status = 422
    slug = "unwritable-file"


class OutboundError(RegistryError):
    """Another server could not be reached, or gave no whole answer."""

    exit_code = 11
    status = 502
    slug = "outbound-failed"


class Offline(OutboundError):
    """The network is switched off for this program."""

    status = 503
    slug = "offline"


class RefusedAddress(OutboundError):
    """A host or address that is not to be contacted for this."""

    slug = "refused-address"


class AnswerTooLarge(OutboundError):
    """An answer is larger than anything that was asked for."""

    slug = "answer-too-large"


class Cancelled(RegistryError):
    """Somebody asked this work to stop."""

    exit_code = 9
    status = 409
    slug = "cancelled"


class CannotServe(RegistryError):
    """The server cannot listen where it was told to."""

    exit_code = 10
    status = 500
    slug = "cannot-serve"


class CannotDraw(RegistryError):
    """Nobody here can draw pictures."""

    exit_code = 12
    status = 409
    slug = "cannot-draw"


class NoBase(CannotDraw):
    """There is no base model that a lora could be drawn on."""

    slug = "no-base"


class UnsupportedArchitecture(CannotDraw):
    """A family of base models that nobody here draws."""

    status = 422
    slug = "unsupported-architecture"
