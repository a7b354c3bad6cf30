"""The folders that travel beside the code are found from a checkout."""

import pytest

from payloadfield.errors import ResourceError
from payloadfield.resources import find_folder, find_seed, list_seeds


def test_seeds_are_found_and_each_has_a_study_and_a_readme() -> None:
    for name in list_seeds():
        assert (find_seed(name) / "study.toml").is_file()
        assert (find_seed(name) / "README.md").is_file()


def test_an_unknown_folder_or_seed_is_refused() -> None:
    with pytest.raises(ResourceError, match="no resource folder 'secrets'"):
        find_folder("secrets")
    with pytest.raises(ResourceError, match="no seed study 'nothing-like-it'"):
        find_seed("nothing-like-it")
