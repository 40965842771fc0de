import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint

import pytest
from ray import cloudpickle

import trainables
from trainables import registry
from trainables.classify import Classify
from trainables.engine import Task, Training

MY_FILE = """
    import numpy as np
    import torch
    from sklearn.datasets import load_digits
    from trainables.engine import Task

    class MyTask(Task):
        def setup(self):
            x, y = load_digits(return_X_y=True)
            x = x.astype("float32") / 16
            self.train, self.val = (x[:1500], y[:1500]), (x[1500:], y[1500:])

        def build(self):
            return torch.nn.Linear(64, 10)

        def loss(self, model, batch):
            x, y = batch
            return torch.nn.functional.cross_entropy(model(x), y)

    def train(config):
        from ray import tune
        for i in range(3):
            tune.report({"score": config["x"] + i})

    class Unfinished(Task):
        def build(self):
            return torch.nn.Linear(64, 10)
"""


@pytest.fixture
def my_file(outside):
    (outside / "my_file.py").write_text(textwrap.dedent(MY_FILE))
    return outside


def test_the_shipped_name_is_the_class_of_its_file_and_its_metrics_are_known():
    assert "classify" in trainables.names()
    program = trainables.load("classify")
    assert program.task is Classify
    assert program.name == "classify"
    assert program.default_metric == ("val_accuracy", "max")
    assert {"train_loss", "val_loss", "val_accuracy", "lr", "grad_norm", "images_per_s", "seconds"} <= set(
        program.metrics
    )
    assert {"lr", "weight_decay", "dropout", "batch_size"} <= program.mutable


@pytest.mark.parametrize("what", ["my_file:MyTask", "my_file.py:MyTask"])
def test_a_class_in_a_file_of_the_working_directory(my_file, what):
    program = trainables.load(what)
    assert program.name == "MyTask"
    assert set(program.hyperparameters) == set(trainables.engine.declared(Training))
    assert program.default_metric == ("val_loss", "min")


def test_a_class_by_absolute_path_and_a_module_in_a_package(my_file, outside):
    assert trainables.load(f"{my_file}/my_file.py:MyTask").name == "MyTask"
    package = outside / "somebodys"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "models.py").write_text(textwrap.dedent(MY_FILE))
    assert trainables.load("somebodys.models:MyTask").task.__module__ == "somebodys.models"


def test_a_file_named_like_an_installed_module_does_not_replace_it(my_file):
    (my_file / "json.py").write_text((my_file / "my_file.py").read_text())
    assert trainables.load("json.py:MyTask").task.__module__ == "_starling_json"
    import json

    assert json.loads("1") == 1


def test_a_class_from_a_file_travels_to_processes_that_do_not_have_the_file(my_file, tmp_path_factory):
    task = cloudpickle.dumps(trainables.load("my_file:MyTask").task)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "task.bin").write_bytes(task)
    code = "from ray import cloudpickle; print(cloudpickle.loads(open('task.bin', 'rb').read()).__name__)"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=elsewhere,
        env={"PYTHONPATH": registry.__file__.rsplit("/", 2)[0], "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"},
        capture_output=True,
        text=True,
    )
    assert answer.stdout == "MyTask\n", answer.stderr


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("clasify", "unknown trainable 'clasify'; did you mean 'classify'"),
        ("my_file:MyTsk", "my_file has no 'MyTsk'; did you mean 'MyTask'"),
        ("my_file:zzz", "my_file has no 'zzz'; its tasks: MyTask, Unfinished"),
        ("nowhere:MyTask", "no module 'nowhere' and no file nowhere.py"),
        ("nowhere.py:MyTask", "there is no file .*nowhere.py"),
        ("my_file:np", "expected a subclass of trainables.engine.Task or a function"),
        ("my_file:Unfinished", "Unfinished lacks setup, loss"),
    ],
)
def test_a_name_that_leads_nowhere_is_answered_with_the_nearest(my_file, what, reason):
    with pytest.raises(ValueError, match=reason):
        trainables.load(what)


def test_an_import_that_fails_inside_a_users_module_is_shown_as_it_is(my_file):
    (my_file / "broken.py").write_text("import a_package_nobody_has\n")
    with pytest.raises(ModuleNotFoundError, match="a_package_nobody_has"):
        trainables.load("broken:MyTask")


def test_a_decorated_class_has_a_public_name_and_no_two_have_the_same(monkeypatch):
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))

    @trainables.register("mine")
    class Mine(Classify):
        pass

    assert trainables.load("mine").task is Mine
    assert trainables.register("mine")(Mine) is Mine  # the same class again: its module was loaded twice
    with pytest.raises(ValueError, match=r"the name 'mine' already belongs to .*Mine; choose another"):

        @trainables.register("mine")
        class Other(Classify):
            pass

    with pytest.raises(ValueError, match="the name 'classify' already belongs to"):
        trainables.register("classify")(Mine)


def test_an_entry_point_of_an_installed_package_is_a_name(my_file, monkeypatch):
    point = EntryPoint("theirs", "trainables.classify:Classify", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "_plugins", lambda: {"theirs": point})
    assert "theirs" in trainables.names()
    assert trainables.load("theirs").task is Classify


def test_check_reads_a_config_and_names_every_problem(monkeypatch):
    monkeypatch.delenv("STARLING_DATA", raising=False)
    program = trainables.load("classify")
    check = program.check
    assert check({"lr": 0.1, "width": "32", "dropout": 0.1}) == []
    assert check({"widht": 3, "lr": -1}) == [
        "unknown hyperparameter `widht`; did you mean `width`?",
        "`lr` is -1.0; it must be at least 0 and finite.",
    ]
    assert check({"dataset": "cifar10"}) == []
    assert "starling data cifar10" in program.obstacles({"dataset": "cifar10"})[0]
    assert "needs 32x32 images" in check({"model": "simple_cnn"})[0]


def test_own_evaluate_without_declared_metrics_leaves_them_unknown():
    class Own(Classify):
        def evaluate(self, model, ranks):
            return {"something": 1.0}

    assert trainables.load(Own).metrics is None


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"ranks": 0}, "ranks is 0"),
        ({"ranks": 2, "gpus_per_rank": 0.5}, "0.5 with 2 ranks; NCCL needs a whole device"),
        ({"ranks": 1, "gpus_per_rank": 1.5}, "1.5; allowed: 0, a fraction of 1, or whole devices"),
        ({"cpus_per_rank": 0}, "cpus_per_rank is 0"),
    ],
)
def test_impossible_resources_are_refused(given, reason):
    with pytest.raises(ValueError, match=reason):
        trainables.load("classify").trainable(**given)


def test_a_trial_asks_for_an_empty_head_and_one_bundle_a_rank():
    cls = trainables.load("classify").trainable(ranks=3, cpus_per_rank=2, gpus_per_rank=1)
    request = cls.default_resource_request({})
    assert (
        request.bundles == [{"CPU": 2.0, "GPU": 1.0}] * 3
    )  # Ray drops the empty head, ours is counted from the end
    assert request.head_bundle_is_empty
    assert request.strategy == "PACK"
    shared = trainables.load("classify").trainable(ranks=1, gpus_per_rank=0.25)
    assert shared.default_resource_request({}).required_resources == {"CPU": 1.0, "GPU": 0.25}


def test_a_plain_function_runs_in_one_process_only(my_file):
    program = trainables.load("my_file:train")
    assert program.hyperparameters is None
    assert program.metrics is None
    assert program.check({"anything": 1}) == program.obstacles({"anything": 1}) == []
    with pytest.raises(ValueError, match="ranks is 2, and train is a plain function"):
        program.trainable(ranks=2)


def test_a_class_that_cannot_be_sent_says_so(outside):
    (outside / "locked.py").write_text(
        textwrap.dedent(MY_FILE) + "\nimport threading\nLOCK = threading.Lock()\n"
        "class Locked(MyTask):\n    def setup(self):\n        LOCK.acquire()\n"
    )
    with pytest.raises(
        ValueError, match=r"Locked cannot be sent to other processes: .*lock.*make them in setup"
    ):
        trainables.load("locked:Locked").trainable()


def test_the_conducting_process_needs_no_torch():
    """The trial's own process starts seconds sooner without it."""
    code = "import sys, trainables, trainables.engine.trial; print('torch' in sys.modules)"
    root = registry.__file__.rsplit("/", 2)[0]
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={"PYTHONPATH": root, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"},
        capture_output=True,
        text=True,
    )
    assert answer.stdout == "False\n", answer.stderr


def test_loading_a_program_or_a_class_is_direct():
    program = trainables.load(Classify)
    assert trainables.load(program) is program
    assert program.task is Classify
    with pytest.raises(ValueError, match="Task lacks setup, build, loss"):
        trainables.load(Task)
    with pytest.raises(ValueError, match="expected a subclass"):
        trainables.load(3)
