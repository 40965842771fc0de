import pytest

from sweeps.files import options


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(90, 90), ("90", 90), ("90s", 90), ("1.5h", 5400), ("1h30m", 5400), ("15 min", 900), ("2D", 172800)],
)
def test_times_are_read_in_seconds(given: object, seconds: float) -> None:
    assert options.seconds(given) == seconds  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["", "h", "2 weeks", "-3s", 0, -1, True, "1e3", float("nan")])
def test_no_time_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="is no length of time"):
        options.seconds(given)  # type: ignore[arg-type]


def test_a_name_may_bring_parameters_whose_values_may_hold_commas() -> None:
    assert options.named("tpe") == ("tpe", {})
    assert options.named("asha:max_t=27,grace_period=1") == ("asha", {"max_t": 27, "grace_period": 1})
    assert options.named("pbt:perturbation_factors=[1.5, 0.5],synch=true") == (
        "pbt",
        {"perturbation_factors": [1.5, 0.5], "synch": True},
    )
    assert options.named({"name": "asha", "max_t": 9}) == ("asha", {"max_t": 9})


def test_a_mapping_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks its `name`"):
        options.named({"max_t": 9})


def test_assignments_are_read_as_yaml_reads_them() -> None:
    assert options.assignments(["lr=1e-3", "a.b=adam", "on=true", "x=[1, 2]", "s=a=b"]) == {
        "lr": 0.001,
        "a.b": "adam",
        "on": True,
        "x": [1, 2],
        "s": "a=b",
    }


def test_an_assignment_without_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match="'lr' is no key=value"):
        options.assignments(["lr"])


@pytest.mark.parametrize(
    "value", [1e-5, 1e20, -3.0, "1e-3", "007", "no", True, None, [1, [2.5]], {"a": {"b": "x"}}]
)
def test_what_is_written_is_read_back(value: object) -> None:
    assert options.read_yaml(options.write_yaml({"v": value})) == {"v": value}


def test_broken_yaml_says_where() -> None:
    with pytest.raises(ValueError, match="not valid YAML at line 2"):
        options.read_yaml("a: 1\n: : :")
