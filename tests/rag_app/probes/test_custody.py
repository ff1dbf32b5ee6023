from rag_app.collections.ownership import Ownership
from rag_app.probes.custody import custodian


def test_nobody_owns_a_folder_that_is_free_and_it_stays_free(tmp_path):
    assert custodian(tmp_path) is None
    Ownership(tmp_path).release()


def test_the_owner_and_its_address_are_told(tmp_path):
    ownership = Ownership(tmp_path)
    ownership.announce("http://127.0.0.1:7860")
    owner = custodian(tmp_path)
    assert owner
    assert owner.address == "http://127.0.0.1:7860"
    (tmp_path / "owner.json").unlink()
    owner = custodian(tmp_path)
    ownership.release()
    assert owner
    assert owner.command == "another process"


def test_a_folder_that_cannot_be_is_owned_by_nobody(tmp_path):
    (tmp_path / "file").write_text("x")
    assert custodian(tmp_path / "file") is None
