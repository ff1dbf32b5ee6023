from data.recent import Recent


def test_the_entries_that_were_set_last_are_kept():
    kept = Recent(2)
    for key in "abac":  # a was used again before c came
        kept[key] = key.upper()
    assert kept == {"a": "A", "c": "C"}


def test_none_may_be_kept():
    kept = Recent(0)
    kept["a"] = 1
    assert not kept
