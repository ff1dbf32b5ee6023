"""Downloads from the Hugging Face hub that can be watched and ended."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from retrieval.encoders.errors import ModelMissingError

OnBytes = Callable[[int, int], None]
"""Is told the bytes that have come, and those of all files known so far; what it raises ends it."""


def download(
    model_id: str,
    revision: str,
    files: Sequence[str],
    on_bytes: OnBytes,
    ignored: str | None = None,
) -> None:
    """Get files of a model into the hub's cache; what is there already is not got again.

    Args:
        model_id: as the hub names it, `owner/name`.
        revision: commit, tag or branch.
        files: patterns of the files to get.
        on_bytes: see `OnBytes`; called from several threads.
        ignored: pattern of files that are not got.

    Raises:
        ModelMissingError: they cannot be had.
    """
    from huggingface_hub import snapshot_download
    from tqdm import tqdm  # type: ignore[import-untyped]

    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:

        class Bar(tqdm):  # type: ignore[misc]  # the hub tells its progress to these alone
            def __init__(self, *arguments: object, **keywords: object) -> None:
                super().__init__(*arguments, **{**keywords, "file": nowhere})

            def update(self, n: float | None = 1) -> bool | None:
                shown: bool | None = super().update(n)
                if self.unit == "B":
                    on_bytes(int(self.n), int(self.total or 0))
                return shown

        try:
            snapshot_download(
                model_id, revision=revision, allow_patterns=list(files), ignore_patterns=ignored,
                tqdm_class=Bar,
            )  # fmt: skip
        except (OSError, ValueError, httpx.HTTPError) as error:
            raise ModelMissingError(
                f"{model_id} cannot be downloaded",
                cause=str(error).splitlines()[0],
                hint="Check the connection to the hub; or get the files elsewhere, and set `model` "
                "to their folder",
            ) from error
