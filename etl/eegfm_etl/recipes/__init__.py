"""The data sets eegfm knows, one declaration each.

Every module of this package that holds a `RECIPE` is one; so is every entry point of the group
``eegfm.recipes``.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points

from eegfm_etl.recipe import Recipe
from eegfm_lake.errors import UsageError


class _Recipes(Mapping[str, Recipe]):
    """Recipes by id, imported when first asked for."""

    def __getitem__(self, recipe_id: str) -> Recipe:
        return _all()[recipe_id]

    def __iter__(self) -> Iterator[str]:
        return iter(_all())

    def __len__(self) -> int:
        return len(_all())


RECIPES: Mapping[str, Recipe] = _Recipes()


def find(recipe_id: str) -> Recipe:
    """Look a recipe up by its id.

    Raises
    ------
    UsageError
        Where no recipe has this id; it names the closest ones.
    """
    if recipe_id in RECIPES:
        return RECIPES[recipe_id]
    close = difflib.get_close_matches(recipe_id.lower(), RECIPES, n=1, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(RECIPES)}"
    raise UsageError(f"unknown data set {recipe_id!r}: {hint} (`eegfm datasets` lists them)")


@cache
def _all() -> dict[str, Recipe]:
    names = sorted(found.name for found in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    recipes = [module.RECIPE for module in modules if hasattr(module, "RECIPE")]
    recipes += [point.load() for point in entry_points(group="eegfm.recipes")]
    return {recipe.id: recipe for recipe in recipes}
