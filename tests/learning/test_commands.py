"""`stationary train` and `stationary evaluate`: what they take, and what they refuse before training starts."""

from __future__ import annotations

import json
import shlex
import sys

import pytest

from stationary._app import main


@pytest.fixture
def call(monkeypatch, capsys):
    """Run the program in this process: (status, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["stationary", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        return exit_.value.code, *capsys.readouterr()

    return run


def test_train_then_evaluate_trained_and_open_classes(call, tmp_path):
    run = tmp_path / "a run"
    options = ("--protocol", "iam-cl2r", "--set", "ce_weight=0.3", "--epochs", "1", "--device", "cpu", "--seed", "3")
    status, out, err = call("train", run, *options)
    assert (status, err) == (0, "")
    assert out.startswith("IAMCL2R(seed=3, data='digits'")
    assert "3 models by hoc" in out
    description = json.loads((run / "run.json").read_text())
    assert description["settings"] == {"ce_weight": 0.3}
    assert description["first"]["epochs"] == description["update"]["epochs"] == 1
    assert json.loads((run / "trained.json").read_text()) == sorted(set(range(10)) - set(_elsewhere()))
    counts = []
    for classes in ("all", "trained", "open"):
        status, out, err = call("evaluate", run, "--classes", classes, "--json", tmp_path / "report.json")
        assert (status, err) == (0, "")
        counts.append(json.loads((tmp_path / "report.json").read_text())["matrix"]["num_queries"])
    assert counts[0] == 597 == counts[1] + counts[2]
    # the next step can be typed as it stands
    features = [str(run / f"task-{task:02d}.features.npz") for task in (2, 0)]
    assert shlex.split(out.splitlines()[-1].removeprefix("Next: ")) == ["stationary", "audit", *features]
    # the same run again trains nothing, another one is refused
    before = {path.name: path.stat().st_mtime_ns for path in run.glob("*.safetensors")}
    assert "3 models by hoc" in call("train", run, *options)[1]
    assert before == {path.name: path.stat().st_mtime_ns for path in run.glob("*.safetensors")}
    status, _, err = call("train", run, *options[:-1], "4")
    assert status == 2
    assert "holds another run: its seed is 3, here it is 4" in err


def _elsewhere():
    from learning import IAMCL2R

    scenario = IAMCL2R(seed=3, tasks=3, elsewhere_classes=4)
    labels = scenario.load().train.labels
    return labels[scenario.steps(labels)[2].elsewhere].unique().tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "RUN", "--method", "magic"], "method must be one of er, er-released, simplex"),
        (["train", "RUN", "--protocol", "magic"], "--protocol must be one of extended-data, extended-classes, cl2r"),
        (["train", "RUN", "--preset", "magic"], "--preset must be one of small, paper, cl2r, cores, got 'magic'"),
        (["train", "RUN", "--data", "mnist"], "data must be one of digits, digit-pairs, fashion-mnist"),
        (["train", "RUN", "--data", "folder"], "--folder must be given for data of your own"),
        (["train", "RUN", "--folder", "."], "--folder must be left out with data 'digits', which scikit-learn brings"),
        (["train", "RUN", "--folder", "nowhere"], "nowhere: must be a folder with the files of 'digits'"),
        (["train", "RUN", "--backbone", "vgg"], "backbone must be one of small-cnn, lenet++"),
        (["train", "RUN", "--device", "abacus"], "device must be 'auto' or a device of this machine, got 'abacus'"),
        (["train", "RUN", "--set", "scale"], "--set must be NAME=VALUE, got 'scale'"),
        (["train", "RUN", "--set", "temperature=2"], "a setting of method 'hoc' must be one of ce_weight, scale"),
        (["train", "RUN", "--set", "scale=large"], "scale must be a number, got 'large'"),
        (["train", "RUN", "--epochs", "0"], "Invalid value for '--epochs'"),
        (["train", "FILE"], "must be a folder, got a file"),
        (["evaluate"], "give the folder of a run, or --suite"),
        (["evaluate", "RUN"], "no such folder; stationary train makes it"),
        (["evaluate", "RUN", "--classes", "few"], "classes must be one of all, trained, open, got 'few'"),
        (["evaluate", "--suite", "magic"], "--suite must be one of quick, digits"),
        (["evaluate", "--suite", "quick", "--json", "nowhere/x.json"], "nowhere/x.json: its folder does not exist"),
    ],
)
def test_bad_arguments_are_one_sentence_and_nothing_is_written(call, tmp_path, arguments, message):
    (tmp_path / "file").touch()
    named = {"RUN": tmp_path / "run", "FILE": tmp_path / "file"}
    status, out, err = call(*(named.get(word, word) for word in arguments))
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_ctrl_c_says_how_to_go_on(call, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("learning.runs.run_scenario", interrupted)
    status, out, err = call("train", tmp_path / "run", "--epochs", "1")
    assert (status, out) == (130, "")
    assert err.endswith("run: stopped. Run the same command again to go on from the last whole epoch.\n")


def test_a_method_that_is_added_in_one_place_works_everywhere(call, tmp_path, monkeypatch):
    """One entry of METHODS: run_scenario, `train` with its settings, `evaluate`, the suites, and the lists of names."""
    from learning import METHODS, ExtendedData, Method, TrainingConfig, run_scenario
    from learning.recipes import Recipe
    from verification.experiments.suites import cases
    from verification.experiments.suites.suite import Case, Variant, run_suite

    used = []

    def mine(weight: float = 2.0) -> Method:
        def objective(update):
            used.append(weight)
            return lambda logits, targets, new, old: weight * (new - old).square().mean() + 0.0 * logits.sum()

        return Method(objective)

    monkeypatch.setitem(METHODS, "mine", mine)
    one = Recipe(*2 * [TrainingConfig(epochs=1, device="cpu")])
    scenario = ExtendedData(old_images=128, new_images=192, held_out=60)
    assert run_scenario(scenario, "mine", one, settings={"weight": 3.0}).method == "mine"
    options = ("--protocol", "extended-data", "--epochs", "1", "--device", "cpu")
    status, out, err = call("train", tmp_path / "run", *options, "--method", "mine", "--set", "weight=4")
    assert (status, err) == (0, "")
    assert "2 models by mine" in out
    assert call("evaluate", tmp_path / "run")[0] == 0
    case = Case(name="small", scenario=lambda seed: scenario, recipe=one, variants=(Variant("m", "mine"),))
    monkeypatch.setitem(cases.SUITES, "small", lambda: (case,))
    status, out, err = call("evaluate", "--suite", "small", "--seeds", "1")
    assert (status, err) == (0, "")
    assert used == [3.0, 4, 2.0]
    assert run_suite([case], 1)[0].label == "m"
    assert "mine" in call("train", tmp_path / "other", "--method", "?")[2]
