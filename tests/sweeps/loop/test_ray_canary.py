"""Ray's private names that a sweep's run rests on. When Ray changes one, this fails before a sweep does."""

import inspect

import pytest
import ray
from ray.train._internal.session import _FutureTrainingResult, _TrainingResult
from ray.tune.execution.tune_controller import TrialRunnerWrapper, TuneController
from ray.tune.experiment import Trial
from ray.tune.experiment.config_parser import _create_trial_from_spec, _make_parser
from ray.tune.schedulers import PopulationBasedTraining
from ray.tune.schedulers.pb2 import PB2
from ray.tune.schedulers.pbt import _explore
from ray.tune.search import SearchGenerator
from ray.tune.search.search_algorithm import SearchAlgorithm

from sweeps.loop.moves import PREEMPTED
from sweeps.loop.trial_source import TrialSource


def arguments(function):
    return list(inspect.signature(function).parameters)


def test_ray_is_the_version_whose_private_names_were_read():
    assert ray.__version__.startswith("2.60."), (
        "read sweeps/loop/trial_source.py against the new Ray, then change this line"
    )


def test_the_controller_is_made_and_driven_as_the_loop_does_it():
    wanted = {
        "search_alg",
        "scheduler",
        "stopper",
        "callbacks",
        "trial_checkpoint_config",
        "storage",
        "reuse_actors",
    }
    assert wanted <= set(arguments(TuneController.__init__))
    for method in ("setup_experiments", "is_finished", "step", "cleanup", "checkpoint"):
        assert callable(getattr(TuneController, method))
    assert arguments(TuneController.setup_experiments) == ["self", "experiments", "total_num_samples"]
    assert "TUNE_MAX_PENDING_TRIALS_PG" in inspect.getsource(inspect.getmodule(TuneController))


def test_a_trial_is_made_from_its_specification_under_our_id():
    assert arguments(_create_trial_from_spec) == ["spec", "parser", "trial_kwargs"]
    assert _make_parser() is not None
    source = inspect.getsource(Trial)
    for name in ("def set_config", "def set_status", "checkpoint_manager", "def error_file", "storage"):
        assert name in source


def test_a_future_checkpoint_is_asked_by_resolve():
    assert arguments(_FutureTrainingResult.resolve) == ["self", "block"]
    assert arguments(_TrainingResult.__init__) == ["self", "checkpoint", "metrics"]


@pytest.mark.parametrize("kind", [PopulationBasedTraining, PB2])
def test_population_based_training_has_the_parts_that_are_overridden(kind):
    assert arguments(kind._get_new_config) == ["self", "trial", "trial_to_clone"]
    assert arguments(kind._exploit) == ["self", "tune_controller", "trial", "trial_to_clone"]
    assert "_hyperparam_mutations" in inspect.getsource(PopulationBasedTraining)
    assert arguments(_explore)[:4] == ["config", "mutations", "resample_probability", "perturbation_factors"]


def test_the_schedulers_see_the_controller_through_a_wrapper_that_passes_everything_on():
    assert "_tune_controller" in inspect.getsource(TrialRunnerWrapper)


def test_a_trial_source_is_no_search_generator_so_that_pbt_accepts_it():
    assert issubclass(TrialSource, SearchAlgorithm)
    assert not issubclass(TrialSource, SearchGenerator)
    assert "isinstance(" in inspect.getsource(PopulationBasedTraining.on_trial_add)


def test_a_trial_that_leaves_its_node_passes_through_the_controllers_methods():
    from ray._private.state import GlobalState
    from ray.air.execution._internal import RayActorManager
    from ray.core.generated.common_pb2 import NodeDeathInfo

    assert arguments(TuneController._schedule_trial_train) == ["self", "trial"]
    assert arguments(TuneController._maybe_cache_trial_actor) == ["self", "trial"]
    assert arguments(TuneController._process_trial_failure) == ["self", "trial", "exception"]
    assert arguments(TuneController._try_recover) == ["self", "trial", "exc"]
    assert "self._trial_to_actor[trial]" in inspect.getsource(TuneController)
    assert "_live_actors_to_ray_actors_resources" in inspect.getsource(RayActorManager)
    assert arguments(GlobalState.get_draining_nodes) == ["self"]
    assert NodeDeathInfo.Reason.Value("AUTOSCALER_DRAIN_PREEMPTED") == PREEMPTED


def test_a_trial_stopped_by_hand_leaves_the_controller_by_its_own_names():
    from ray.air.execution._internal import RayActorManager

    assert arguments(TuneController.stop_trial) == ["self", "trial"]
    assert arguments(TuneController._remove_actor) == ["self", "tracked_actor"]
    assert arguments(TuneController._unstage_trial_with_resources) == ["self", "trial"]
    source = inspect.getsource(TuneController)
    assert "self._staged_trials.add(trial)" in source
    assert "self._resetting_trials.add(trial)" in source
    assert arguments(RayActorManager.remove_actor) == ["self", "tracked_actor", "kill", "stop_future"]
    assert arguments(RayActorManager.is_actor_started) == ["self", "tracked_actor"]


def test_a_function_is_wrapped_into_a_class_whose_call_can_be_surrounded():
    from ray.train._internal.storage import StorageContext
    from ray.tune.trainable.function_trainable import wrap_function

    assert arguments(wrap_function) == ["train_func", "name"]
    made = wrap_function(lambda config: None, "f")
    assert arguments(made._trainable_func) == ["self", "config"]
    assert isinstance(inspect.getattr_static(StorageContext, "trial_fs_path"), property)
