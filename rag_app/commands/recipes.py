"""`recipes`: the published pipelines that ship."""

import typer

from rag_app.assembly import recipes
from rag_app.commands import output, recipe_listing
from rag_app.commands.common import AsJson
from rag_app.settings import recipes as names

_recipes = typer.Typer(
    no_args_is_help=True, help="Published pipelines, and the numbers they should reach."
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_recipes, name="recipes")


@_recipes.command("list")
def list_recipes(as_json: AsJson = False) -> None:
    """List the recipes there are."""
    listed = [recipes.load(name).as_dict() for name in names()]
    output.show({"recipes": listed}, as_json, recipe_listing.show_all)


@_recipes.command("show")
def show_recipe(name: str, as_json: AsJson = False) -> None:
    """Show what a recipe does, what it needs, and what was published for it."""
    output.show(recipes.load(name).as_dict(), as_json, recipe_listing.show)
