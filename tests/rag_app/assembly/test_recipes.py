"""The recipes that ship: each is whole, valid, sourced, and in force where it is named."""

import json

import pytest

from eval.datasets.bright import REWRITERS
from eval.datasets.bright import TASKS as BRIGHT
from rag_app.assembly import recipes
from rag_app.assembly.encoders import choose
from rag_app.assembly.opening import open_service
from rag_app.assembly.recipes import TASKS, for_task, load, parse
from rag_app.collections.ownership import HeldByAnother, Ownership
from rag_app.errors import SettingsError
from rag_app.settings import load_settings, override, read_recipe
from rag_app.settings import recipes as names
from tests.rag_app.command import rag_app

EVERY = pytest.mark.parametrize("name", names())
REASONIR = {"encoder": {"name": "reasonir-8b"}}


def with_recipe(name: str, **more):
    return load_settings(overrides={"recipe": name, **more})


@EVERY
def test_every_recipe_is_in_force_where_it_is_named(name):
    settings, recipe = with_recipe(name), load(name)
    assert settings.recipe == recipe.name == name
    assert override(settings, recipe.settings) == settings
    assert choose(settings).row.name == settings.encoder.name
    assert settings.retrieval.top_k == 100, "as many as the metrics look at"


@EVERY
def test_every_recipe_says_what_it_needs_and_where_its_numbers_are_from(name):
    recipe = load(name)
    assert recipe.title
    assert recipe.needs
    assert recipe.differs.endswith(".")
    assert recipe.expected
    for expected in recipe.expected:
        assert "https://" in expected.source
    own = [one.comparable for one in recipe.expected]
    assert all(own) or "cannot be compared" in recipe.differs


@EVERY
def test_every_recipe_asks_for_queries_that_there_are(name):
    assert load(name).queries in ("original", *(f"{rewriter}_reason" for rewriter in REWRITERS))


@EVERY
def test_queries_that_are_rewritten_already_are_not_rewritten_again(name):
    if load(name).queries != "original":
        assert with_recipe(name).rewrite.kind == "none"


@EVERY
def test_models_that_stages_ask_are_named_among_the_needs(name):
    recipe = load(name)
    for stage in recipe.stages():
        for role in {"model", "encoder"} & stage.details.keys():
            if name != "openai-3-large":
                told = str(stage.details[role]).removesuffix("-msmarco")
                assert told in " ".join(recipe.needs)


@EVERY
def test_one_index_of_an_encoder_serves_all_recipes_with_it(name):
    """Else a comparison of two recipes would encode the corpus anew."""
    settings = with_recipe(name)
    assert settings.bm25 == with_recipe("bm25").bm25
    same = [
        with_recipe(other)
        for other in names()
        if with_recipe(other).encoder.name == settings.encoder.name
    ]
    assert {other.encoder.passage_length for other in same} == {settings.encoder.passage_length}


def test_the_order_of_the_tasks_is_that_of_the_leaderboard():
    assert set(TASKS) == set(BRIGHT)
    assert TASKS[0] == "biology"
    assert TASKS[6:10] == ("sustainable_living", "leetcode", "pony", "aops")
    (biology,) = load("reasonir").expected_for("bright:biology")
    (pony,) = load("reasonir").expected_for("bright:pony")
    assert (biology.value, pony.value) == (0.262, 0.105)


def test_a_number_is_expected_of_the_same_queries_and_documents_alone():
    recipe = load("reasonir-qwenrerank")
    for dataset in (
        "bright:earth_science",
        "bright:earth-science@gpt4_reason",
        "bright:earth_science@gpt4",
    ):
        assert [one.value for one in recipe.expected_for(dataset)] == [0.532]
    assert [one.value for one in recipe.expected_for("bright")] == [0.369]
    for other in ("bright:earth-science@original", "bright:biology-long", "beir:scifact", "own:c"):
        assert recipe.expected_for(other) == []
    assert load("diver-4b-1020").expected_for("bright:biology") == [], "its mean alone is known"


@pytest.mark.parametrize("name", ["retro-star", "bge-reasoner"])
def test_numbers_of_another_pipeline_are_shown_but_not_expected(name):
    recipe = load(name)
    assert recipe.expected
    assert recipe.expected_for("bright") == recipe.expected_for("bright:biology") == []


def test_stages_are_told_in_their_order():
    stages = load("bge-reasoner").stages()
    assert [(stage.stage, stage.kind) for stage in stages] == [
        ("rewrite", "llm"), ("retrieve", "hybrid"), ("fuse", "minmax-observed"),
        ("rerank", "retro-star"),
    ]  # fmt: skip
    assert stages[0].details["rewrites"] == 5
    assert stages[2].details == {"weight": 0.75}
    assert stages[3].details["finalists"] == 30


# --- which value is in force ---------------------------------------------------------------------


def test_a_recipe_stands_between_profile_and_file(tmp_path, monkeypatch):
    assert load_settings(profile="gpu").llm.timeout == 120
    settings = load_settings(profile="gpu", overrides={"recipe": "retro-star"})
    assert (settings.llm.timeout, settings.llm.context_window) == (1800, 32768)
    file = tmp_path / "config.toml"
    file.write_text('recipe = "retro-star"\n[rerank]\nsamples = 2\ncandidates = 20\n')
    settings = load_settings(file)
    assert (settings.recipe, settings.rerank.kind, settings.rerank.samples) == (
        "retro-star", "retro-star", 2,
    )  # fmt: skip
    monkeypatch.setenv("RAG_APP_RERANK__SAMPLES", "4")
    assert load_settings(file).rerank.samples == 4
    flags = {"rerank": {"samples": 8}}
    assert load_settings(file, overrides=flags).rerank.samples == 8
    assert load_settings(file, overrides=flags).rerank.candidates == 20


def test_the_strongest_source_names_the_recipe(tmp_path, monkeypatch):
    file = tmp_path / "config.toml"
    file.write_text('recipe = "bm25"\n')
    assert load_settings(file).retrieval.retriever == "bm25"
    monkeypatch.setenv("RAG_APP_RECIPE", "reasonir")
    assert load_settings(file).retrieval.retriever == "dense"
    settings = load_settings(file, overrides={"recipe": "reasonir-bm25"})
    assert (settings.recipe, settings.retrieval.retriever) == ("reasonir-bm25", "hybrid")
    assert load_settings(file, overrides={"recipe": ""}).rerank == load_settings().rerank


@pytest.mark.parametrize("name", ["nonsense", "../laptop", "reasonir.toml"])
def test_an_unknown_recipe_is_named_with_the_hint(name):
    with pytest.raises(SettingsError, match=r"unknown.*recipes list"):
        with_recipe(name)


def test_another_process_with_its_own_settings_is_not_asked_in_place_of_a_recipe(
    settings, encoder, monkeypatch
):
    owner = Ownership(settings.storage.path)
    owner.announce("http://127.0.0.1:1")
    try:
        with pytest.raises(HeldByAnother):
            open_service(override(settings, {"recipe": "bm25"}))
        assert open_service(settings) is not None, "the control: it is the recipe"
    finally:
        owner.release()


# --- files are checked ---------------------------------------------------------------------------


def changed(**tables):
    tree = read_recipe("bm25")
    return {**tree, **{name: {**tree.get(name, {}), **table} for name, table in tables.items()}}


@pytest.mark.parametrize(
    ("tables", "named"),
    [
        ({"recipe": {"titel": "x"}}, "recipe.titel"),
        ({"recipe": {"title": ""}}, "recipe.title"),
        ({"recipe": {"needs": []}}, "recipe.needs"),
        ({"retrieval": {"topk": 5}}, "retrieval.topk"),
        ({"retreival": {"top_k": 5}}, "retreival"),
        ({"encoder": {"name": "none-such"}}, "none-such"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tables, named):
    with pytest.raises(SettingsError) as caught:
        parse("mine", changed(**tables))
    assert named in str(caught.value)


@pytest.mark.parametrize("section", ["retrieval", "rewrite", "rerank"])
def test_a_file_that_leaves_a_stage_open_is_refused(section):
    tree = {key: value for key, value in read_recipe("bm25").items() if key != section}
    with pytest.raises(SettingsError, match=rf"{section}\.\w+ is not set"):
        parse("mine", tree)


def test_a_recipe_inherits_settings_and_nothing_else():
    parent, child = read_recipe("reasonir"), read_recipe("reasonir-qwenrerank")
    assert child["encoder"] == parent["encoder"]
    assert child["rerank"]["kind"] == "qwen-sampled"
    assert parent["rerank"]["kind"] == "none"
    assert child["recipe"]["title"] != parent["recipe"]["title"]
    assert "inherits" not in child
    assert "_base" not in names()


def test_a_file_without_its_own_table_is_refused():
    with pytest.raises(SettingsError, match="recipe mine is not valid"):
        parse("mine", {"retrieval": {"retriever": "bm25"}})


# --- tasks ---------------------------------------------------------------------------------------


def test_encoder_and_reranker_are_told_the_task_as_far_as_they_know_it():
    settings = for_task(load_settings(overrides=REASONIR), "leetcode")
    assert (settings.encoder.task, settings.rerank.definition) == ("leetcode", "leetcode")
    settings = for_task(load_settings(overrides=REASONIR), "biology_long")
    assert (settings.encoder.task, settings.rerank.definition) == ("biology_long", "biology")
    settings = for_task(load_settings(), "leetcode")
    assert (settings.encoder.task, settings.rerank.definition) == ("", "leetcode")


def test_what_was_said_of_the_task_stays():
    said = {"encoder": {"name": "reasonir-8b", "instruction": ""}, "rerank": {"definition": "mine"}}
    settings = load_settings(overrides=said)
    assert for_task(settings, "leetcode") == settings
    assert for_task(load_settings(), "") == for_task(load_settings(), "scifact") == load_settings()


# --- the command ---------------------------------------------------------------------------------


def test_all_recipes_are_listed(tmp_path):
    done = rag_app("recipes", "list", "--json", storage=tmp_path)
    listed = json.loads(done.stdout)["recipes"]
    assert [recipe["name"] for recipe in listed] == names()
    table = rag_app("recipes", "list", storage=tmp_path).stdout
    assert all(name in table for name in names())
    assert "36.9" in table
    assert "(46.4)" in table, "in brackets, as it is of another pipeline"


def test_a_recipe_is_shown_whole(tmp_path):
    done = rag_app("recipes", "show", "reasonir-qwenrerank", "--json", storage=tmp_path)
    told = json.loads(done.stdout)
    assert told == json.loads(json.dumps(load("reasonir-qwenrerank").as_dict()))
    assert [stage["stage"] for stage in told["stages"]] == ["rewrite", "retrieve", "rerank"]
    shown = rag_app("recipes", "show", "reasonir-qwenrerank", storage=tmp_path).stdout
    flat = " ".join(shown.split())
    for part in (told["title"], told["queries"], *told["needs"], told["differs"], told["run"]):
        assert part in flat
    assert flat.index("retrieve: dense") < flat.index("rerank: qwen-sampled")
    assert "mean of the tasks 36.9: https://" in flat
    assert "biology 58.2" in flat


def test_a_recipe_is_in_force_in_any_command(tmp_path):
    def shown(*flags: str, **more: str) -> dict:
        return json.loads(
            rag_app(*flags, "config", "show", "--json", storage=tmp_path, **more).stdout
        )

    assert shown()["recipe"] == ""
    assert shown("--recipe", "bm25-rank1")["rerank"]["kind"] == "rank1"
    told = shown(RAG_APP_RECIPE="bm25-rank1")
    assert (told["recipe"], told["rerank"]["kind"]) == ("bm25-rank1", "rank1")


def test_an_unknown_recipe_is_wrong_usage(tmp_path):
    for command in (("--recipe", "none-such", "doctor"), ("recipes", "show", "none-such")):
        done = rag_app(*command, storage=tmp_path)
        assert done.returncode == 2
        assert "none-such" in done.stderr


def test_the_command_that_runs_a_recipe_accepts_a_licence_only_where_one_is_restricted():
    assert recipes.load("reasonir").command.startswith(
        "rag-app --accept-license --recipe reasonir "
    )
    assert recipes.load("bm25").command.startswith("rag-app --recipe bm25 eval retrieval bright:")
