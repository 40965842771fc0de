"""The taxonomy of hyperparameters in the documents, held to the declarations."""

import runpy
from pathlib import Path

import pytest

import trainables

TAXONOMY = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "taxonomy.py"))
ROWS = [(row, names) for rows in TAXONOMY["ROWS"].values() for row, names in rows.items()]


@pytest.mark.parametrize(("row", "names"), ROWS, ids=[row for row, _ in ROWS])
def test_every_name_of_a_row_can_be_searched_on_some_trainable(row, names):
    declared = [trainables.load(name).hyperparameters or {} for name in trainables.names()]
    for name in names:
        searchable = [known[name] for known in declared if name in known]
        assert searchable, f"no trainable declares {name}"


def test_the_page_is_what_the_declarations_say():
    assert TAXONOMY["PAGE"].read_text() == TAXONOMY["page"](), "run `python docs/taxonomy.py`"
