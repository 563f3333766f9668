"""Where bytes of strangers become pictures that are kept: looked at by a child process, stored by content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.pictures.looking import look
from registry.pictures.process import Decoder
from registry.views import PictureKept

if TYPE_CHECKING:
    from registry.pictures.store import PictureStore


class Studio:
    """Looks at pictures and keeps them; may be used by several threads, close it in the end.

    Of videos there are pictures only with `ffmpeg`. `originals` says whether the bytes are kept as well.
    """

    def __init__(
        self,
        store: PictureStore,
        *,
        decoder: Decoder | None = None,
        ffmpeg: str | None = None,
        originals: bool = False,
    ) -> None:
        self.store = store
        self.ffmpeg = ffmpeg
        self.originals = originals
        self._decoder = decoder or Decoder()

    @property
    def most(self) -> int:
        """How many bytes one picture may have."""
        return self._decoder.limits.size

    def keep(self, data: bytes, *, original: bool | None = None) -> PictureKept:
        """Look at a picture and keep it; `original` says whether its bytes are kept, else the studio does.

        Raises BadPicture, PicturesFull, Cancelled once it is closed, RegistryError where nothing works.
        """
        kept = self.originals if original is None else original
        picture = look(data, self._decoder, self.ffmpeg)
        key = self.store.put(data, picture, keep_original=kept)
        return PictureKept(
            key=key,
            media_type=picture.kind.media_type,
            width=picture.width,
            height=picture.height,
            size=len(data),
            thumbnail=None if picture.thumbnail is None else len(picture.thumbnail),
            original=kept,
        )

    def close(self) -> None:
        """Stop the child process."""
        self._decoder.close()
