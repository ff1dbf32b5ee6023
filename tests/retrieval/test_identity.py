import hashlib

from retrieval.identity import fingerprint


def test_a_fingerprint_is_the_digest_of_canonical_json_whatever_the_order() -> None:
    expected = hashlib.sha256(b'{"a":1,"b":{"c":"x"}}').hexdigest()[:16]
    assert fingerprint({"b": {"c": "x"}, "a": 1}) == expected
    assert fingerprint({"a": 1, "b": {"c": "y"}}) != expected
