"""Which of the processes that share the tests runs which file, and when (pytest-xdist).

A file's tests stay in one process, for the sake of what they share. So do all files that ask a
real vLLM server: each server of `conftest.py` is then started once, and not once a process. Files
that take long are begun first: one that is begun last keeps one process busy alone.
"""

from typing import Any, Final

from xdist.scheduler import LoadFileScheduling

ENGINES: Final = (
    "tests/retrieval/encoders/remote/test_served_vllm.py",
    "tests/retrieval/vllm_plugin/test_model.py",
    "tests/retrieval/reranking/test_served_vllm.py",
    "tests/retrieval/test_rewriting.py",
    "tests/generation/test_multiple_choice.py",
    "tests/generation/test_llm_reader_vllm.py",
    "tests/ui/test_full_pipeline.py",
    "tests/rag_app/test_full_pipeline.py",
    "tests/rag_app/test_recipes_at_work.py",
    "tests/rag_app/commands/test_synthesize.py",
    "tests/rag_app/llm/test_client_vllm.py",
    "tests/rag_app/probes/test_doctor_vllm.py",
    "tests/eval/choice/test_task_vllm.py",
    "tests/deployment/test_health_checks.py",
)
LONGEST: Final = (
    *ENGINES,
    "tests/ui/test_browser.py",
    "tests/rag_app/ingestion/test_ray_engine.py",
    "tests/ui/test_evaluation.py",
    "tests/ui/test_commands.py",
    "tests/deployment/test_confined_engine.py",
    "tests/ui/test_accessibility.py",
    "tests/rag_app/ingestion/test_ray_cluster.py",
    "tests/ui/test_several_processes.py",
    "tests/rag_app/collections/test_backup.py",
    "tests/deployment/test_image.py",
    "tests/rag_app/commands/test_documents.py",
    "tests/eval/commands/test_resume.py",
    "tests/retrieval/training/test_encoder.py",
    "tests/rag_app/collections/test_indexes.py",
    "tests/eval/choice/test_task.py",
    "tests/eval/commands/test_adapt.py",
)
"""Those of a minute or more (`--durations=0` shows them), the longest first."""
_RANKS: Final = {file: rank for rank, file in enumerate(LONGEST)}


def rank(nodeid: str) -> int:
    """Where a test's file stands in the order."""
    return _RANKS.get(nodeid.partition("::")[0], len(_RANKS))


class Scheduling(LoadFileScheduling):
    """By file, and the files that ask engines together."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.config.option.loadscopereorder = False  # which begins with files of many quick tests

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "engines" if file in ENGINES else file
