"""One frozen `Settings`: command line over environment (`LORAS_*`) over TOML over defaults."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from platformdirs import user_config_path, user_data_path
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from registry.errors import BadRequest

APP = "lora-registry"
DEFAULT_PORT = 8567
CIVITAI_URL = "https://civitai.com"
ARCHIVE_URL = "https://civarchive.com/api"
# Levels of registry.formats.nsfw; `none` limits nothing.
NSFW_LIMITS = ("pg", "pg13", "r", "x", "xxx", "none")


def config_file() -> Path:
    """Where the optional TOML file is looked for: `LORAS_CONFIG`, else the platform's config folder."""
    named = os.environ.get("LORAS_CONFIG")
    return Path(named) if named else user_config_path(APP, appauthor=False) / "config.toml"


class Settings(BaseSettings):
    """Everything that can be set, with the environment name `LORAS_<FIELD>` for each field."""

    model_config = SettingsConfigDict(env_prefix="LORAS_", frozen=True, extra="forbid")

    database_url: str | None = Field(
        default=None,
        repr=False,  # it may hold a password
        description="postgresql+psycopg://user:password@host/name or sqlite:///path; else in the data folder",
    )
    data_dir: Path = Field(
        default_factory=lambda: user_data_path(APP, appauthor=False),
        description="folder of the SQLite catalog, its backups and locks",
    )
    machine: str = Field(
        default_factory=socket.gethostname, description="the name of this machine in the catalog"
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=DEFAULT_PORT, ge=0, le=65535, description="port to listen on")
    unsafe_open: bool = Field(
        default=False,
        description="listen beyond this machine without any token (anyone there may read and change)",
    )
    require_token: bool = Field(default=False, description="ask for a token on this machine too")
    trusted_proxies: tuple[str, ...] = Field(
        default=(), description="addresses of reverse proxies whose X-Forwarded-For is believed"
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        description="host names besides localhost and the listening address that requests may name",
    )
    cors_origins: tuple[str, ...] = Field(
        default=(), description="web origins allowed to read from a browser"
    )
    workers: int = Field(
        default_factory=lambda: min(64, max(1, (os.cpu_count() or 2) - 1)),
        ge=0,
        le=64,
        description="child processes that read and identify headers; 0 = none, the scanning thread does it",
    )
    hash_readers: int = Field(
        default_factory=lambda: min(4, os.cpu_count() or 2),
        ge=1,
        le=64,
        description="files hashed at the same time, all roots together; a root may ask for fewer",
    )
    hash_limit_mb: float = Field(default=0, ge=0, description="hashing speed limit in MB/s, 0 = none")
    hash_hours: str = Field(
        default="", description="hours in which hashing may run, for example 22-07; empty = always"
    )
    tag_tables: tuple[Path, ...] = Field(
        default=(),
        description="CSV files of tags and what they are called in another language (`tag,name`), for search",
    )
    nsfw_words: Path | None = Field(
        default=None,
        description="CSV file of words and the level that they tell (`words,level`), in place of our own",
    )
    nsfw_pictures: str = Field(
        default="pg13",
        description="highest level of pictures and prompts that are sent unasked: pg, pg13, r, x, xxx, none",
    )
    nsfw_entries: str = Field(
        default="none", description="highest level of loras that are listed; none = all of them"
    )
    tools: dict[str, Any] = Field(
        default_factory=dict, description="what other tools are told of, a table [tools.NAME] for each"
    )
    rescan_minutes: float = Field(
        default=360, ge=0, description="minutes between full rescans while serving, 0 = only on events"
    )
    offline: bool = Field(
        default=False, description="open no connection to any other machine, whoever asks for it"
    )
    proxy: str | None = Field(
        default=None,
        repr=False,  # it may hold a password
        description="HTTP proxy for all connections to other machines, http://user:password@host:port",
    )
    civitai_url: str = Field(
        default=CIVITAI_URL,
        pattern=r"^https?://[^\s/@?#]+(/[^\s?#]*)?$",
        description="where Civitai is asked, for a mirror of it",
    )
    civitai_token: SecretStr | None = Field(
        default=None, description="API key of Civitai; sent to the host of `civitai_url` and to no other"
    )
    archive_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s/@?#]+(/[^\s?#]*)?)?$",
        description=f"where files are looked for that Civitai does not know, for example {ARCHIVE_URL}; "
        "empty = nowhere",
    )
    sync_hours: float = Field(
        default=0,
        ge=0,
        description="hours between syncs with Civitai while serving; 0 = only when somebody asks for one",
    )
    sync_misses: int = Field(
        default=500,
        ge=0,
        description="files asked for one by one in a sync, of those whose SHA-256 Civitai does not know",
    )
    civitai_images: Literal["none", "first", "all"] = Field(
        default="first", description="pictures of a version that a sync fetches: none, first or all"
    )
    civitai_images_most: int = Field(
        default=10, ge=1, le=100, description="pictures of a version that a sync fetches of all"
    )
    pictures_limit_mb: int = Field(
        default=2000, ge=0, description="room that all pictures together may take, in MB; 0 = no limit"
    )
    pictures_originals: bool = Field(
        default=False, description="keep pictures as they came beside their thumbnails"
    )
    notes_daily: bool = Field(
        default=True, description="write what was noted into an archive every day while serving, if it is new"
    )
    fingerprints: bool = Field(
        default=True,
        description="measure the weights of adapters when nothing else is to be done, so that `similar` and "
        "`health` tell of all; within `hash_hours`",
    )
    renderer: Literal["local", "a1111", "comfyui"] = Field(
        default="local",
        description="who draws pictures: this program (`local`, needs the extra `render`), or a running "
        "A1111, Forge, SD.Next (`a1111`) or ComfyUI (`comfyui`)",
    )
    renderer_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s/@?#]+(/[^\s?#]*)?)?$",
        description="where that tool answers; empty = http://127.0.0.1:7860 or http://127.0.0.1:8188",
    )
    renderer_auth: SecretStr | None = Field(
        default=None, description="`user:password` that A1111 was started with (--api-auth)"
    )
    renderer_workflow: Path | None = Field(
        default=None, description="a workflow of ComfyUI in API format with placeholders, in place of ours"
    )
    bases: dict[str, str] = Field(
        default_factory=dict,
        description="base models by architecture or base model (`sd15`, `sdxl`, `pony` ...): a .safetensors "
        "checkpoint or a diffusers folder, or the name that the tool has for it",
    )
    draft_loras: dict[str, str] = Field(
        default_factory=dict, description="LCM loras by architecture, for drafts of four steps"
    )
    render_most: int = Field(default=8, ge=1, le=64, description="pictures drawn at once, if they fit")
    render_gpus: tuple[int, ...] = Field(
        default=(),
        description="numbers of the graphics cards that draw, a process for each; empty = the first",
    )
    render_vram_mb: int = Field(
        default=4000, ge=0, description="video memory that must be free before a base model is loaded, in MB"
    )
    dask_address: str = Field(
        default="",
        description="scheduler of a Dask cluster whose workers draw: tls://host:port, or tcp:// of this "
        "machine",
    )
    dask_certificates: str = Field(default="", description="files for tls://, as `ca.pem,cert.pem,key.pem`")
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s/@?#]+(/[^\s?#]*)?)?$",
        description="where workers of a Dask cluster reach this server, to fetch files of loras with signed "
        "links",
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="key that messages to webhooks are signed with; without one none are sent"
    )
    webhook_hosts: tuple[str, ...] = Field(
        default=(), description="hosts of webhooks that may have private addresses"
    )
    change_days: int = Field(default=30, ge=1, description="days for which the change log is kept")

    @field_validator("data_dir")
    @classmethod
    def _whole(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("nsfw_pictures", "nsfw_entries")
    @classmethod
    def _limit(cls, value: str) -> str:
        limit = value.strip().lower().replace("-", "")
        if limit not in NSFW_LIMITS:
            raise ValueError(f"limits are {', '.join(NSFW_LIMITS)}")
        return limit

    @field_validator("hash_hours")
    @classmethod
    def _hours(cls, value: str) -> str:
        if value:
            parse_hours(value)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources; a `.env` file of the working folder is never read."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=config_file())

    def url(self) -> str:
        """Return the database URL: the given one, else SQLite in the data folder."""
        # Quoted, because URLs give `?` and `%` a meaning that folder names do not.
        return (
            self.database_url
            or f"sqlite:///{quote((self.data_dir / 'catalog.sqlite3').as_posix(), safe='/:')}"
        )


def parse_hours(text: str) -> tuple[int, int]:
    """Parse `22-07` into (22, 7); raise ValueError for anything else."""
    first, dash, last = text.partition("-")
    if not dash or not (first.strip().isdecimal() and last.strip().isdecimal()):
        raise ValueError("hours look like 22-07: from, inclusive, to, exclusive")
    hours = int(first), int(last)
    if max(hours) > 24:
        raise ValueError("hours are 0 to 24")
    return hours


def load_settings(**given: Any) -> Settings:
    """Build the settings from what the command line gave (`None` = not given) and all other sources.

    Raises BadRequest naming the setting and what it may be.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        lines = "; ".join(f"{'.'.join(str(part) for part in row['loc'])}: {row['msg']}" for row in wrong)
        raise BadRequest(
            f"the settings cannot be used: {lines}", remedy=f"see {config_file()} and LORAS_*"
        ) from None
    except (OSError, ValueError) as error:
        raise BadRequest(f"the settings cannot be read: {error}", remedy=f"see {config_file()}") from None
