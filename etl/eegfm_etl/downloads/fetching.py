"""Where a data set's files are: the folder that the user names, or what was downloaded."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from eegfm_etl.recipe import Recipe
from eegfm_lake.errors import UsageError


def source_root(
    recipe: Recipe,
    source: str | Path | None,
    only: Sequence[str],
    list_only: bool,
    console: Console,
    params: Mapping[str, str],
) -> Path:
    """Return the folder of a data set's files, downloaded where none is named and the recipe can.

    A generic recipe's download is given `params`, for they say which data set is meant.

    Raises
    ------
    UsageError
        Where none is named and the data set cannot be downloaded: says where to get it and the layout expected.
    EegfmError
        Where the download fails.
    """
    if source is not None:
        return Path(os.path.abspath(Path(source).expanduser()))
    if recipe.download is None:
        raise UsageError(_how_to_get(recipe))
    target = Path("data/sources").absolute() / recipe.id
    if list_only:  # asking must not fetch gigabytes
        if target.is_dir():
            return target
        raise UsageError(
            f"{recipe.id} was not downloaded yet; name its folder with --source, or ingest without --list"
        )
    console.print(f"{recipe.id}: fetching into {target} (what is there already is kept)", highlight=False)
    given = {name: value for name, value in params.items() if name not in ("name", "namespace")}
    return recipe.download(target, only, **(given if recipe.generic else {}))


def _how_to_get(recipe: Recipe) -> str:
    layout = recipe.layout or f"as {recipe.layout_source} documents it"
    match recipe.access:
        case "agreement":
            where = recipe.apply_at or recipe.layout_source
            return (
                f"{recipe.id} is given to those who sign its agreement: apply at {where}, then name the folder with "
                f"--source DIR; layout expected: {layout}"
            )
        case "simulated":
            return f"{recipe.id} is made, not downloaded; name its folder with --source DIR; layout expected: {layout}"
        case _:
            where = recipe.apply_at or recipe.layout_source
            return (
                f"{recipe.id} is not downloaded by eegfm: fetch it from {where} and name its folder with "
                f"--source DIR; layout expected: {layout}"
            )
