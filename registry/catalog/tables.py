"""The tables of the catalog: columns, keys and indexes, no behaviour.

Times are integer milliseconds since the epoch (UTC); `mtime_ns` is what `stat` says. Text that is sorted or
compared by range is a folded key of its own in `KeyText`, which compares code points on every database.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

REVISION = "0011"
"""The schema revision (`alembic/versions`) after which a database has these tables."""

BigKey = BigInteger().with_variant(Integer, "sqlite")
KeyText = Text().with_variant(Text(collation="C"), "postgresql")

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING

# Ids are never handed out twice: references and redirects outlive rows.
AUTOINCREMENT = {"sqlite_autoincrement": True}


def _id() -> Column[int]:
    return Column(BigKey, primary_key=True, autoincrement=True)


def _ref(target: str, *, nullable: bool = False, index: bool = False, primary: bool = False) -> Column[int]:
    return Column(BigInteger, ForeignKey(target), nullable=nullable, index=index, primary_key=primary)


def _time(*, nullable: bool = False) -> Column[int]:
    return Column(BigInteger, nullable=nullable)


class Setting(SQLModel, table=True):
    """Facts about this catalog itself: its id, the oldest change still kept."""

    __tablename__ = "setting"
    name: str = Field(sa_column=Column(Text, primary_key=True))
    value: str = Field(sa_column=Column(Text, nullable=False))


class Machine(SQLModel, table=True):
    """A computer that scans or reads roots."""

    __tablename__ = "machine"
    id: str = Field(sa_column=Column(Text, primary_key=True))
    name: str = Field(sa_column=Column(Text, nullable=False))
    last_seen: int = Field(sa_column=_time())


class Root(SQLModel, table=True):
    """One storage; exactly one machine scans and judges it."""

    __tablename__ = "root"
    __table_args__ = AUTOINCREMENT
    id: int = Field(sa_column=_id())
    label: str = Field(sa_column=Column(Text, nullable=False))
    kind: str = Field(default="local", sa_column=Column(Text, nullable=False))
    machine_id: str = Field(sa_column=Column(Text, ForeignKey("machine.id"), nullable=False))
    position: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    writable: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False))
    private: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False))
    poll: str = Field(default="auto", sa_column=Column(Text, nullable=False))
    follow_out: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False))
    pickles: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False))
    ignore_inode: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False))
    header_readers: int = Field(default=8, sa_column=Column(Integer, nullable=False))
    hash_readers: int | None = Field(default=None, sa_column=Column(Integer))
    state: str = Field(default="ok", sa_column=Column(Text, nullable=False))
    state_since: int = Field(sa_column=_time())
    added_at: int = Field(sa_column=_time())
    scanned_at: int | None = Field(default=None, sa_column=_time(nullable=True))
    scan_ms: int | None = Field(default=None, sa_column=_time(nullable=True))
    removed_at: int | None = Field(default=None, sa_column=_time(nullable=True))


class Mount(SQLModel, table=True):
    """Where a machine finds a root; `path_raw` is the path as `os.fsencode` gives it."""

    __tablename__ = "mount"
    root_id: int = Field(sa_column=_ref("root.id", primary=True))
    machine_id: str = Field(sa_column=Column(Text, ForeignKey("machine.id"), primary_key=True))
    path_raw: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    path: str = Field(sa_column=Column(Text, nullable=False))


class Header(SQLModel, table=True):
    """Everything that follows from the bytes of one header; files with equal headers share a row.

    `metadata_packed` is `registry.formats.packing` JSON in header order, `a1111` a raw deflate fragment of
    the `metadata` object of the A1111 list with its CRC and size, `tags` a packed run of (tag id, count).
    """

    __tablename__ = "header"
    __table_args__ = AUTOINCREMENT
    id: int = Field(sa_column=_id())
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    derived_version: int = Field(sa_column=Column(Integer, nullable=False))
    length: int = Field(sa_column=Column(BigInteger, nullable=False))
    tensors: int = Field(sa_column=Column(Integer, nullable=False))
    metadata_packed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    a1111: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    a1111_crc: int = Field(sa_column=Column(BigInteger, nullable=False))
    a1111_size: int = Field(sa_column=Column(BigInteger, nullable=False))
    alias: str | None = Field(default=None, sa_column=Column(Text))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    architecture: str = Field(sa_column=Column(Text, nullable=False))
    base_model: str | None = Field(default=None, sa_column=Column(Text))
    adapter: str = Field(sa_column=Column(Text, nullable=False))
    rank: int | None = Field(default=None, sa_column=Column(Integer))
    alpha: float | None = Field(default=None, sa_column=Column(Float(53)))
    precision: str | None = Field(default=None, sa_column=Column(Text))
    key_layout: str | None = Field(default=None, sa_column=Column(Text))
    identification: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    trainer: str | None = Field(default=None, sa_column=Column(Text))
    output_name: str | None = Field(default=None, sa_column=Column(Text))
    title: str | None = Field(default=None, sa_column=Column(Text))
    base_model_version: str | None = Field(default=None, sa_column=Column(Text))
    sd_model_name: str | None = Field(default=None, sa_column=Column(Text))
    sd_model_hash: str | None = Field(default=None, sa_column=Column(Text))
    new_sd_model_hash: str | None = Field(default=None, sa_column=Column(Text))
    network_module: str | None = Field(default=None, sa_column=Column(Text))
    network_dim: int | None = Field(default=None, sa_column=Column(BigInteger))
    network_alpha: float | None = Field(default=None, sa_column=Column(Float(53)))
    optimizer: str | None = Field(default=None, sa_column=Column(Text))
    learning_rate: float | None = Field(default=None, sa_column=Column(Float(53)))
    unet_lr: float | None = Field(default=None, sa_column=Column(Float(53)))
    text_encoder_lr: float | None = Field(default=None, sa_column=Column(Float(53)))
    lr_scheduler: str | None = Field(default=None, sa_column=Column(Text))
    epoch: int | None = Field(default=None, sa_column=Column(BigInteger))
    num_epochs: int | None = Field(default=None, sa_column=Column(BigInteger))
    steps: int | None = Field(default=None, sa_column=Column(BigInteger))
    max_train_steps: int | None = Field(default=None, sa_column=Column(BigInteger))
    seed: int | None = Field(default=None, sa_column=Column(BigInteger))
    session_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    num_train_images: int | None = Field(default=None, sa_column=Column(BigInteger))
    num_reg_images: int | None = Field(default=None, sa_column=Column(BigInteger))
    repeats: int | None = Field(default=None, sa_column=Column(BigInteger))
    batch_size: int | None = Field(default=None, sa_column=Column(BigInteger))
    resolution_width: int | None = Field(default=None, sa_column=Column(BigInteger))
    resolution_height: int | None = Field(default=None, sa_column=Column(BigInteger))
    bucket_width: int | None = Field(default=None, sa_column=Column(BigInteger))
    bucket_height: int | None = Field(default=None, sa_column=Column(BigInteger))
    clip_skip: int | None = Field(default=None, sa_column=Column(BigInteger))
    noise_offset: float | None = Field(default=None, sa_column=Column(Float(53)))
    min_snr_gamma: float | None = Field(default=None, sa_column=Column(Float(53)))
    mixed_precision: str | None = Field(default=None, sa_column=Column(Text))
    started_at: int | None = Field(default=None, sa_column=_time(nullable=True))
    finished_at: int | None = Field(default=None, sa_column=_time(nullable=True))
    comment: str | None = Field(default=None, sa_column=Column(Text))
    triggers: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    tags: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    tag_count: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    notes: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    description: str | None = Field(default=None, sa_column=Column(Text))


class Tag(SQLModel, table=True):
    """The dictionary behind the tag blobs."""

    __tablename__ = "tag"
    __table_args__ = AUTOINCREMENT
    id: int = Field(sa_column=_id())
    name: str = Field(sa_column=Column(KeyText, nullable=False, unique=True))


class Lora(SQLModel, table=True):
    """One set of weights.

    `identity` is `data:<data_sha256>`, `file:<sha256>` or, until hashed, `new:<file id>`. The columns after
    `header_id` repeat the primary file's, so that lists sort and page on an index; `set_...` repeat what the
    user corrected, so that lists filter on it.
    """

    __tablename__ = "lora"
    __table_args__ = (
        Index("ix_lora_name_key_id", "name_key", "id"),
        Index("ix_lora_size_id", "size", "id"),
        Index("ix_lora_mtime_ns_id", "mtime_ns", "id"),
        Index("ix_lora_first_seen_id", "first_seen", "id"),
        # A merge asks for it each time, and hardly any row has one.
        Index(
            "ix_lora_replaces_id",
            "replaces_id",
            sqlite_where=text("replaces_id IS NOT NULL"),
            postgresql_where=text("replaces_id IS NOT NULL"),
        ),
        AUTOINCREMENT,
    )
    id: int = Field(sa_column=_id())
    identity: str = Field(sa_column=Column(KeyText, nullable=False, unique=True))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    header_id: int | None = Field(default=None, sa_column=_ref("header.id", nullable=True, index=True))
    primary_file_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    files_present: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    files: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    name_key: str = Field(sa_column=Column(KeyText, nullable=False))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    mtime_ns: int = Field(sa_column=Column(BigInteger, nullable=False))
    first_seen: int = Field(sa_column=_time())
    replaces_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    set_kind: str | None = Field(default=None, sa_column=Column(Text))
    set_architecture: str | None = Field(default=None, sa_column=Column(Text))
    set_base_model: str | None = Field(default=None, sa_column=Column(Text))
    set_adapter: str | None = Field(default=None, sa_column=Column(Text))


class LoraRedirect(SQLModel, table=True):
    """Where a merged lora went; every reference follows it."""

    __tablename__ = "lora_redirect"
    old_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    new_id: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    at: int = Field(sa_column=_time())


class File(SQLModel, table=True):
    """One model file at one path under one root; a row is never deleted because its path is gone."""

    __tablename__ = "file"
    __table_args__ = (
        UniqueConstraint("root_id", "path_raw"),
        Index("ix_file_inode_size", "inode", "size"),
        Index("ix_file_quick_key", "quick_key"),
        Index("ix_file_state_a1111_key", "root_id", "state", "a1111_key"),
        # The hashing queue in its order; counting what is left needs nothing else.
        Index("ix_file_hash_queue", "hash_state", "state", "hash_priority", "size", "root_id", "id"),
        Index("ix_file_name_key", "name_key"),
        AUTOINCREMENT,
    )
    id: int = Field(sa_column=_id())
    root_id: int = Field(sa_column=_ref("root.id"))
    path_raw: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    path: str = Field(sa_column=Column(Text, nullable=False))
    folder: str = Field(sa_column=Column(Text, nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    name_key: str = Field(sa_column=Column(KeyText, nullable=False))
    ext: str = Field(sa_column=Column(Text, nullable=False))
    a1111_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    hidden: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False))
    device: int = Field(sa_column=Column(BigInteger, nullable=False))
    inode: int = Field(sa_column=Column(BigInteger, nullable=False))
    nlink: int = Field(sa_column=Column(Integer, nullable=False))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    mtime_ns: int = Field(sa_column=Column(BigInteger, nullable=False))
    placeholder: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False))
    state: str = Field(default="present", sa_column=Column(Text, nullable=False))
    state_since: int = Field(sa_column=_time())
    first_seen: int = Field(sa_column=_time())
    derived_version: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    quick_key: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    tail: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    data_size: int | None = Field(default=None, sa_column=Column(BigInteger))
    header_id: int | None = Field(default=None, sa_column=_ref("header.id", nullable=True, index=True))
    lora_id: int = Field(sa_column=_ref("lora.id", index=True))
    cause: str | None = Field(default=None, sa_column=Column(Text))
    hash_state: str = Field(default="pending", sa_column=Column(Text, nullable=False))
    hash_priority: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    hashed_at: int | None = Field(default=None, sa_column=_time(nullable=True))
    verified: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False))
    claims: bytes | None = Field(default=None, sa_column=Column(LargeBinary))


class Digest(SQLModel, table=True):
    """One computed hash of one file in lower-case hex; a new kind of digest is a new row, not a migration."""

    __tablename__ = "digest"
    __table_args__ = (
        Index("ix_digest_value_kind_file_id", "value", "kind", "file_id"),
        {"sqlite_with_rowid": False},
    )
    file_id: int = Field(sa_column=_ref("file.id", primary=True))
    kind: str = Field(sa_column=Column(Text, primary_key=True))
    value: str = Field(sa_column=Column(KeyText, nullable=False))


class Companion(SQLModel, table=True):
    """A sidecar or preview seen beside a file, by name."""

    __tablename__ = "companion"
    file_id: int = Field(sa_column=_ref("file.id", primary=True))
    name_raw: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    name: str = Field(sa_column=Column(KeyText, nullable=False))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    family: str = Field(sa_column=Column(Text, nullable=False))


class Sidecar(SQLModel, table=True):
    """What was read in a sidecar; `facts` are packed, and none where it says nothing or cannot be read.

    `images` are those of the facts, compressed, and `digest` is of both, `sha256` of the bytes of the file.
    `rules` is the version of the rules it was read by, `problem` what is wrong with it. An `inode` of 0 is
    one that is not known.
    """

    __tablename__ = "sidecar"
    file_id: int = Field(sa_column=_ref("file.id", primary=True))
    name_raw: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    name: str = Field(sa_column=Column(KeyText, nullable=False))
    family: str = Field(sa_column=Column(Text, nullable=False))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    mtime_ns: int = Field(sa_column=Column(BigInteger, nullable=False))
    inode: int = Field(sa_column=Column(BigInteger, nullable=False))
    rules: int = Field(sa_column=Column(Integer, nullable=False))
    read_at: int = Field(sa_column=_time())
    tool: str | None = Field(default=None, sa_column=Column(Text))
    facts: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    images: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    digest: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    problem: str | None = Field(default=None, sa_column=Column(Text))
    sha256: bytes | None = Field(default=None, sa_column=Column(LargeBinary))


class Written(SQLModel, table=True):
    """What we wrote beside a file for a tool: the path, the SHA-256 of the bytes, and what of them is ours.

    `ours` is packed JSON of `registry.formats.ours`. A family has one sidecar beside a file, which may be
    renamed with it; `file_id` is `None` once the file was forgotten, for the sidecar is still there.
    """

    __tablename__ = "written"
    __table_args__ = (
        UniqueConstraint("file_id", "family"),
        Index("ix_written_root_id_path_raw", "root_id", "path_raw"),
        AUTOINCREMENT,
    )
    id: int = Field(sa_column=_id())
    root_id: int = Field(sa_column=_ref("root.id"))
    path_raw: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    file_id: int | None = Field(default=None, sa_column=_ref("file.id", nullable=True))
    family: str = Field(sa_column=Column(Text, nullable=False))
    tool: str = Field(sa_column=Column(Text, nullable=False))
    sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    ours: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    at: int = Field(sa_column=_time())


class RemoteModel(SQLModel, table=True):
    """A model of Civitai by its id there: as it was sent, compressed, and as it is understood, packed.

    `facts` has no versions: those are rows of `remote_version`. `checked_at` is when it was asked for last,
    `gone_at` since when it is no longer there; what was known of it stays.
    """

    __tablename__ = "remote_model"
    id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    source: str = Field(sa_column=Column(Text, nullable=False))
    raw: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    facts: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    newest_at: int | None = Field(default=None, sa_column=_time(nullable=True))
    fetched_at: int | None = Field(default=None, sa_column=_time(nullable=True))
    checked_at: int = Field(sa_column=_time())
    gone_at: int | None = Field(default=None, sa_column=_time(nullable=True))


class RemoteVersion(SQLModel, table=True):
    """A version of a model of Civitai by its id there.

    `raw` and `facts` are as in `remote_model`, and none of a version that is known from its model alone;
    `images` are those of the facts, compressed. `listed` says that its model names it as published.
    """

    __tablename__ = "remote_version"
    __table_args__ = (Index("ix_remote_version_model_id", "model_id"),)
    id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    source: str = Field(sa_column=Column(Text, nullable=False))
    model_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    name: str | None = Field(default=None, sa_column=Column(Text))
    base_model: str | None = Field(default=None, sa_column=Column(Text))
    published_at: int | None = Field(default=None, sa_column=_time(nullable=True))
    early_until: int | None = Field(default=None, sa_column=_time(nullable=True))
    listed: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False))
    raw: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    facts: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    images: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    fetched_at: int | None = Field(default=None, sa_column=_time(nullable=True))
    gone_at: int | None = Field(default=None, sa_column=_time(nullable=True))


class RemoteHash(SQLModel, table=True):
    """A hash of a file of weights of a version: `sha256` whole, `autov3` with 12 digits."""

    __tablename__ = "remote_hash"
    __table_args__ = (Index("ix_remote_hash_version_id", "version_id"), {"sqlite_with_rowid": False})
    value: str = Field(sa_column=Column(KeyText, primary_key=True))
    version_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    kind: str = Field(sa_column=Column(Text, nullable=False))


class RemoteLookup(SQLModel, table=True):
    """What asking for the SHA-256 of a file came to: `state` is one of `registry.civitai.policy`.

    `by` is the kind of hash that found it, or the other service that did. `tries` counts answers of one
    state in a row.
    """

    __tablename__ = "remote_lookup"
    __table_args__ = (Index("ix_remote_lookup_state", "state"), {"sqlite_with_rowid": False})
    sha256: str = Field(sa_column=Column(KeyText, primary_key=True))
    state: str = Field(sa_column=Column(Text, nullable=False))
    by: str | None = Field(default=None, sa_column=Column(Text))
    asked_at: int = Field(sa_column=_time())
    tries: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    gone_at: int | None = Field(default=None, sa_column=_time(nullable=True))
    error: str | None = Field(default=None, sa_column=Column(Text))


class RemoteMatch(SQLModel, table=True):
    """A version that has a file with a SHA-256; `believed` once its details named that very hash."""

    __tablename__ = "remote_match"
    __table_args__ = (Index("ix_remote_match_version_id", "version_id"), {"sqlite_with_rowid": False})
    sha256: str = Field(sa_column=Column(KeyText, primary_key=True))
    version_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    believed: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False))


class Picture(SQLModel, table=True):
    """A picture by the SHA-256 of its bytes as they came; the picture itself lies in the data folder.

    `size` is of those bytes, `thumbnail` of what is shown, none of a video that nobody could look into.
    `original` says that those bytes are kept too.
    """

    __tablename__ = "picture"
    key: str = Field(sa_column=Column(KeyText, primary_key=True))
    media_type: str = Field(sa_column=Column(Text, nullable=False))
    width: int | None = Field(default=None, sa_column=Column(Integer))
    height: int | None = Field(default=None, sa_column=Column(Integer))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    thumbnail: int | None = Field(default=None, sa_column=Column(BigInteger))
    original: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False))
    stored_at: int = Field(sa_column=_time())


class PictureOf(SQLModel, table=True):
    """What a picture is of, or why there is none.

    `kind` says whose id `of_id` is and what `name` is: `civitai` a version and an address, `file` a file and
    the raw name of what lies beside it, `header` a header and the place in it, `user` a lora and the key.
    `size` and `mtime_ns` are of what lies beside a file, `tries` counts failures in a row.
    """

    __tablename__ = "picture_of"
    __table_args__ = (Index("ix_picture_of_key", "key"), {"sqlite_with_rowid": False})
    kind: str = Field(sa_column=Column(Text, primary_key=True))
    of_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    name: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    place: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    key: str | None = Field(default=None, sa_column=Column(KeyText))
    nsfw_level: int | None = Field(default=None, sa_column=Column(SmallInteger))
    size: int | None = Field(default=None, sa_column=Column(BigInteger))
    mtime_ns: int | None = Field(default=None, sa_column=Column(BigInteger))
    at: int = Field(sa_column=_time())
    tries: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    error: str | None = Field(default=None, sa_column=Column(Text))


class Problem(SQLModel, table=True):
    """Something wrong that a person should know, until it is gone."""

    __tablename__ = "problem"
    __table_args__ = (UniqueConstraint("scope", "slug"), AUTOINCREMENT)
    id: int = Field(sa_column=_id())
    scope: str = Field(sa_column=Column(KeyText, nullable=False))
    file_id: int | None = Field(default=None, sa_column=_ref("file.id", nullable=True, index=True))
    root_id: int | None = Field(default=None, sa_column=_ref("root.id", nullable=True, index=True))
    path: str | None = Field(default=None, sa_column=Column(Text))
    slug: str = Field(sa_column=Column(KeyText, nullable=False))
    text: str = Field(sa_column=Column(Text, nullable=False))
    stage: str = Field(sa_column=Column(Text, nullable=False))
    at: int = Field(sa_column=_time())


class Curation(SQLModel, table=True):
    """One thing that the user noted of a lora: a field of `registry.curation` with its packed value."""

    __tablename__ = "curation"
    lora_id: int = Field(sa_column=_ref("lora.id", primary=True))
    field: str = Field(sa_column=Column(Text, primary_key=True))
    value: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    at: int = Field(sa_column=_time())
    actor: str | None = Field(default=None, sa_column=Column(Text))


class CurationHistory(SQLModel, table=True):
    """What a field of curation was and became, packed; no value is none noted.

    `kind` is `edit`, `undo`, `import`, `carry`, `merge` or `conflict`: then `old` is the value that lost and
    `new` the one that stayed. All rows of one action have its `batch`, the id of its first row.
    """

    __tablename__ = "curation_history"
    __table_args__ = (
        Index("ix_curation_history_lora_id_id", "lora_id", "id"),
        Index("ix_curation_history_batch", "batch"),
        AUTOINCREMENT,
    )
    id: int = Field(sa_column=_id())
    lora_id: int = Field(sa_column=_ref("lora.id"))
    field: str = Field(sa_column=Column(Text, nullable=False))
    old: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    new: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    at: int = Field(sa_column=_time())
    actor: str | None = Field(default=None, sa_column=Column(Text))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    batch: int = Field(sa_column=Column(BigInteger, nullable=False))


class NoteWaiting(SQLModel, table=True):
    """Notes of a lora that is not here yet: a line of an archive of notes, by the SHA-256 of it.

    `identity` is that of the lora; where it has no hash, `quick_key` is that of the file it is about.
    """

    __tablename__ = "note_waiting"
    __table_args__ = (
        Index("ix_note_waiting_identity", "identity"),
        Index("ix_note_waiting_quick_key", "quick_key"),
        AUTOINCREMENT,
    )
    id: int = Field(sa_column=_id())
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    identity: str | None = Field(default=None, sa_column=Column(KeyText))
    quick_key: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    line: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    at: int = Field(sa_column=_time())


class Change(SQLModel, table=True):
    """The log that indexes, pickers and feeds follow; `generation` is its highest `seq`."""

    __tablename__ = "change"
    __table_args__ = (Index("ix_change_at", "at"), AUTOINCREMENT)
    seq: int = Field(sa_column=_id())
    at: int = Field(sa_column=_time())
    entity: str = Field(sa_column=Column(Text, nullable=False))
    entity_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    lora_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    actor: str | None = Field(default=None, sa_column=Column(Text))


class Token(SQLModel, table=True):
    """A bearer token, known by the SHA-256 of its secret only.

    `tool` is the profile that it chooses; `nsfw_pictures` and `nsfw_entries` are the highest levels, as bits,
    that whoever has it is sent.
    """

    __tablename__ = "token"
    __table_args__ = AUTOINCREMENT
    id: int = Field(sa_column=_id())
    name: str = Field(sa_column=Column(KeyText, nullable=False, unique=True))
    role: str = Field(sa_column=Column(Text, nullable=False))
    digest: str = Field(sa_column=Column(KeyText, nullable=False, unique=True))
    created_at: int = Field(sa_column=_time())
    used_at: int | None = Field(default=None, sa_column=_time(nullable=True))
    revoked_at: int | None = Field(default=None, sa_column=_time(nullable=True))
    tool: str | None = Field(default=None, sa_column=Column(Text))
    nsfw_pictures: int | None = Field(default=None, sa_column=Column(SmallInteger))
    nsfw_entries: int | None = Field(default=None, sa_column=Column(SmallInteger))


class SavedSearch(SQLModel, table=True):
    """A query that was given a name; `name_key` is the folded name, by which it is found."""

    __tablename__ = "saved_search"
    __table_args__ = AUTOINCREMENT
    id: int = Field(sa_column=_id())
    name: str = Field(sa_column=Column(Text, nullable=False))
    name_key: str = Field(sa_column=Column(KeyText, nullable=False, unique=True))
    query: str = Field(sa_column=Column(Text, nullable=False))
    created_at: int = Field(sa_column=_time())
    changed_at: int = Field(sa_column=_time())
    actor: str | None = Field(default=None, sa_column=Column(Text))


class Fingerprint(SQLModel, table=True):
    """What the weights of a lora tell; `blocks` is packed, `health` words with commas between them.

    `unet` and `te` are sketches of length one in 16-bit floats. A row is never changed but replaced by a
    newer one, so that who copies sketches reads only those with higher ids.
    """

    __tablename__ = "fingerprint"
    __table_args__ = AUTOINCREMENT
    id: int = Field(sa_column=_id())
    lora_id: int = Field(sa_column=Column(BigInteger, ForeignKey("lora.id"), nullable=False, unique=True))
    version: int = Field(sa_column=Column(Integer, nullable=False))
    measured_at: int = Field(sa_column=_time())
    basis: str = Field(sa_column=Column(Text, nullable=False))
    health: str = Field(sa_column=Column(Text, nullable=False))
    layers: int = Field(sa_column=Column(Integer, nullable=False))
    unet_norm: float = Field(sa_column=Column(Float(53), nullable=False))
    te_norm: float = Field(sa_column=Column(Float(53), nullable=False))
    spectral: float | None = Field(default=None, sa_column=Column(Float(53)))
    effective_rank: float | None = Field(default=None, sa_column=Column(Float(53)))
    blocks: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    unet: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    te: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    problem: str | None = Field(default=None, sa_column=Column(Text))


class Job(SQLModel, table=True):
    """A durable wish; `key` is what two live jobs of one kind must not share, such as a root."""

    __tablename__ = "job"
    __table_args__ = (Index("ix_job_state_kind_key", "state", "kind", "key"), AUTOINCREMENT)
    id: int = Field(sa_column=_id())
    kind: str = Field(sa_column=Column(Text, nullable=False))
    key: str = Field(sa_column=Column(KeyText, nullable=False))
    state: str = Field(sa_column=Column(Text, nullable=False))
    spec: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    priority: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    attempts: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    cancel: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False))
    done: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    total: int | None = Field(default=None, sa_column=Column(BigInteger))
    owner: str | None = Field(default=None, sa_column=Column(Text))
    heartbeat: int | None = Field(default=None, sa_column=_time(nullable=True))
    created_at: int = Field(sa_column=_time())
    started_at: int | None = Field(default=None, sa_column=_time(nullable=True))
    finished_at: int | None = Field(default=None, sa_column=_time(nullable=True))
    result: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    error: str | None = Field(default=None, sa_column=Column(Text))
    actor: str | None = Field(default=None, sa_column=Column(Text))
    called: str | None = Field(default=None, sa_column=Column(Text))
    machine: str | None = Field(default=None, sa_column=Column(Text))
    slug: str | None = Field(default=None, sa_column=Column(Text))
    ends_at: int | None = Field(default=None, sa_column=_time(nullable=True))
    webhook: str | None = Field(default=None, sa_column=Column(Text))
    webhook_at: int | None = Field(default=None, sa_column=_time(nullable=True))
    webhook_tries: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    webhook_error: str | None = Field(default=None, sa_column=Column(Text))


class JobPiece(SQLModel, table=True):
    """One piece of a job that is handed out in batches, such as a picture.

    Pieces with the same `fits` can be in one batch; those with the same `key` are the same work. `batch` is
    the one that it was handed out in last, `not_before` when it may be tried again.
    """

    __tablename__ = "job_piece"
    __table_args__ = (
        Index("ix_job_piece_state", "state", "job_id", "place"),
        Index("ix_job_piece_fits", "state", "fits", "job_id", "place"),
        {"sqlite_with_rowid": False},
    )
    job_id: int = Field(sa_column=_ref("job.id", primary=True))
    place: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    key: str = Field(sa_column=Column(KeyText, nullable=False))
    fits: str = Field(sa_column=Column(KeyText, nullable=False))
    state: str = Field(sa_column=Column(KeyText, nullable=False))
    spec: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    attempts: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    batch: str | None = Field(default=None, sa_column=Column(Text))
    not_before: int | None = Field(default=None, sa_column=_time(nullable=True))
    slug: str | None = Field(default=None, sa_column=Column(Text))
    error: str | None = Field(default=None, sa_column=Column(Text))


class JobLine(SQLModel, table=True):
    """One line of what happened during a job, for people."""

    __tablename__ = "job_line"
    __table_args__ = (Index("ix_job_line_job_id", "job_id"), AUTOINCREMENT)
    id: int = Field(sa_column=_id())
    job_id: int = Field(sa_column=_ref("job.id"))
    at: int = Field(sa_column=_time())
    text: str = Field(sa_column=Column(Text, nullable=False))


class Drawn(SQLModel, table=True):
    """A picture that was drawn, by the key of all that it depends on; `slug` is what is odd about it."""

    __tablename__ = "drawn"
    key: str = Field(sa_column=Column(KeyText, primary_key=True))
    picture: str = Field(sa_column=Column(KeyText, nullable=False))
    spec: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    slug: str | None = Field(default=None, sa_column=Column(Text))
    drawn_at: int = Field(sa_column=_time())


METADATA = SQLModel.metadata
TABLES = METADATA.tables
