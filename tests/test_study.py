# SPDX-License-Identifier: BSD-3-Clause
"""The study as a whole, on few images: form, determinism, honesty of the account."""

import copy
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import ClassVar

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from fastcone.cone import Cone
from fastcone.green import PowercapMeter, break_even
from fastcone.study import account, breakeven, data, model, tasks
from fastcone.study.methods import trained
from fastcone.study.problem import ARMS
from fastcone.study.report import text as table
from fastcone.study.report.write import SCHEMA, complaints, write_study
from fastcone.study.run import run_study

METRICS = {"classify_0_1": "accuracy", "classify_10": "accuracy", "detect": "auroc"}


def run(seed=0, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(account, "WINDOW_S", 0.0)  # one run per step is enough here
        patch.setattr(trained, "UPDATES", 20)
        small = data.load_digits(seed).limited(500, 100, 150)
        return run_study(small, quick=True, seed=seed, **options)


@pytest.fixture(scope="module")
def study():
    return run()


@pytest.fixture(scope="module")
def again():
    """The same study once more, and how many images each training of a cone saw."""
    fits = []
    fit = Cone.fit.__func__

    def counted(cls, X, rank, **options):
        fits.append(len(X))
        return fit(cls, X, rank, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cone, "fit", classmethod(counted))
        return run().record, fits


@pytest.fixture(scope="module")
def other():
    """A study of another seed, with carbon."""
    return run(seed=1, intensity=100.0, pue=2.0).record


@pytest.fixture
def record(study):
    return copy.deepcopy(study.record)


def rows(record):
    for name, task in record["tasks"].items():
        for row in task["results"]:
            yield name, row


def named(record, task, start):
    return next(r for r in record["tasks"][task]["results"] if r["name"].startswith(start))


def without_arm(record, arm):
    task = record["tasks"]["deblur"]
    task["results"] = [row for row in task["results"] if row["arm"] != arm]


def pair(record):
    return record["tasks"]["denoise_salt_pepper"]["paired"][0]


def margin(record):
    return record["tasks"]["deblur"]["margin"]


def costs(record):
    yield record["cone"]["cost"]
    for _, row in rows(record):
        yield from (row["use"], *([row["train"]] if row["train"] else []))


class TestForm:
    def test_it_survives_json_and_has_no_complaint(self, record):
        text = json.dumps({**record, "command": "x"}, allow_nan=False)
        assert complaints(json.loads(text)) == []
        assert "NaN" not in text and "Infinity" not in text

    def test_names_and_metrics_are_those_of_the_issue(self, record):
        assert list(record["tasks"]) == tasks.names()
        for name, task in record["tasks"].items():
            assert task["metric"] == METRICS.get(name, "psnr_db")

    def test_every_task_has_every_arm_and_every_step_its_cost(self, record):
        for task in record["tasks"].values():
            assert {row["arm"] for row in task["results"]} == set(ARMS)
        for found in costs(record):
            assert found["seconds"] > 0 and found["cpu_seconds"] >= 0
            assert found["peak_memory_bytes"] is None or found["peak_memory_bytes"] > 2**20

    def test_intervals_hold_their_quality(self, record):
        for _, row in rows(record):
            lo, hi = row["quality_ci"]
            assert lo <= row["quality"] <= hi

    @pytest.mark.parametrize(
        "spoil, message",
        [
            (lambda r: r.update(schema=2), "schema: 1 was expected"),
            (lambda r: r.pop("cone"), "'cone' is a required property"),
            (lambda r: r["cone"].update(rank=0), "cone.rank: 0 is less than"),
            (lambda r: r["tasks"].pop("deblur"), "tasks must be"),
            (lambda r: r["tasks"].update(extra=r["tasks"]["deblur"]), "tasks must be"),
            (lambda r: r["tasks"]["deblur"].update(metric="mse"), "metric: 'mse' is not one of"),
            (lambda r: r["tasks"]["deblur"].update(n_items=0), "n_items: 0 is less than"),
            (lambda r: r["tasks"]["inpaint"].update(results=[]), "does not contain"),
            (lambda r: without_arm(r, "retrain"), "must satisfy contains"),
            (lambda r: pair(r).update(ours="nobody"), "must name two of the results"),
            (lambda r: pair(r).update(difference=99.0), "a difference within its interval"),
            (lambda r: r["tasks"]["deblur"].pop("margin"), "'margin' is a required property"),
            (lambda r: margin(r).update(n=0), "must satisfy anyOf"),
            (lambda r: margin(r).update(theirs="nobody"), "margin must name two of the results"),
            (lambda r: margin(r).update(difference=99.0), "margin must have a difference within"),
            (lambda r: r["cone"].pop("file"), "'file' is a required property"),
            (lambda r: r["cone"]["file"].update(sha256="0"), "sha256: '0' does not match"),
            (lambda r: next(rows(r))[1].update(arm="other"), "arm: 'other' is not one of"),
            (lambda r: next(rows(r))[1].update(oracle=None), "oracle: None is not of type"),
            (lambda r: next(rows(r))[1].update(quality=None), "quality: None is not of type"),
            (lambda r: next(rows(r))[1].update(quality=True), "quality: True is not of type"),
            (lambda r: next(rows(r))[1].update(quality=1.5), "greater than the maximum of 1"),
            (lambda r: next(rows(r))[1].update(quality_ci=[1.0, 0.0]), "quality_ci must not fall"),
            (lambda r: next(rows(r))[1].update(quality_ci=[1.0]), "quality_ci: [1.0] is too short"),
            (lambda r: next(rows(r))[1].update(use=None), "use: None is not of type 'object'"),
            (lambda r: next(costs(r)).update(seconds=float("nan")), "plain JSON"),
            (lambda r: next(costs(r)).update(cpu_seconds=-1.0), "cpu_seconds: -1.0 is less than"),
            (lambda r: next(costs(r)).pop("carbon_g"), "'carbon_g' is a required property"),
            (lambda r: next(costs(r))["energy"].update(kind="guessed"), "'guessed' is not one of"),
            (lambda r: next(costs(r))["energy"].update(kind="absent"), "is not of type 'null'"),
            (lambda r: next(costs(r))["energy"].update(joules=None), "is not of type 'number'"),
            (lambda r: next(costs(r))["energy"].update(hi=0.0), "lo <= joules <= hi"),
            (lambda r: next(costs(r))["energy"].pop("meter"), "'meter' is a required property"),
            (lambda r: r["break_even"].pop("cone_quality"), "'cone_quality' is a required"),
            (lambda r: r["break_even"]["cone_quality"].update(tasks=[]), "must satisfy type null"),
            (lambda r: r["break_even"]["cone_quality"]["seconds"].pop("winner"), "'winner' is a"),
            (lambda r: r["dataset"].update(name=b"x"), "plain JSON"),
            (lambda r: r["dataset"].update(image_shape=(8, 8)), "plain JSON"),
        ],
    )
    def test_a_record_of_another_form_is_refused(self, record, spoil, message):
        record["command"] = "x"
        spoil(record)
        assert any(message in line for line in complaints(record))

    def test_the_schema_is_one_and_names_the_arms(self):
        schema = json.loads(SCHEMA.read_text())
        Draft202012Validator.check_schema(schema)
        assert schema["$defs"]["arm"]["enum"] == list(ARMS)


class TestDeterminism:
    def test_two_runs_give_the_same_qualities_to_the_last_digit(self, study, again):
        for (_, a), (_, b) in zip(rows(study.record), rows(again[0]), strict=True):
            for key in ("name", "quality", "quality_ci", "tune_quality", "settings"):
                assert a[key] == b[key]

    def test_another_seed_gives_others(self, study, other):
        assert any(
            a["quality"] != b["quality"]
            for (_, a), (_, b) in zip(rows(study.record), rows(other), strict=True)
        )


class TestHonesty:
    def test_the_cones_are_trained_once(self, again):
        record, fits = again
        assert len(fits) == 10 + 1
        assert sum(fits) == 2 * record["dataset"]["n_fit"]
        assert [part["cones"] for part in record["cone"]["parts"]] == [10, 1]

    def test_the_cones_cost_what_their_parts_cost(self, record):
        parts = [part["cost"]["cpu_seconds"] for part in record["cone"]["parts"]]
        assert record["cone"]["cost"]["cpu_seconds"] == pytest.approx(sum(parts))

    def test_no_joule_is_called_measured_without_a_counter(self, record):
        if PowercapMeter().probe().ok:
            pytest.skip("this machine has an energy counter")
        assert {found["energy"]["kind"] for found in costs(record)} == {"modelled"}

    def test_carbon_is_null_unless_an_intensity_was_given(self, record, other):
        assert all(found["carbon_g"] is None for found in costs(record))
        for found in costs(other):
            expected = found["energy"]["joules"] / 3.6e6 * 2.0 * 100.0
            assert found["carbon_g"] == pytest.approx(expected)

    def test_an_oracle_says_so_and_never_stands_for_its_arm(self, record):
        oracles = {row["name"] for _, row in rows(record) if row["oracle"]}
        assert oracles and all("oracle" in name for name in oracles)
        for task in record["tasks"].values():
            for arm in ARMS:
                assert not breakeven.chosen(task, arm)["oracle"]

    def test_baselines_improve_on_what_was_given(self, record):
        for task, start in (
            ("denoise_gaussian", "Gaussian filter"),
            ("denoise_gaussian", "total variation"),
            ("denoise_salt_pepper", "median filter"),
            ("denoise_periodic", "notch filter, wave known"),
            ("inpaint", "biharmonic"),
            ("deblur", "L2 in Fourier space"),
        ):
            spoilt = named(record, task, "left as it is")
            assert named(record, task, start)["quality"] > spoilt["quality"]

    def test_codes_are_compared_at_equal_length(self, record):
        task = record["tasks"]["compress"]
        n_bytes = int(re.search(r"About (\d+) bytes", task["about"])[1])
        generators = record["cone"]["parts"][0]["generators"]
        assert min(generators) + 9 <= n_bytes <= max(generators) + 9
        assert named(record, "compress", "PCA")["settings"]["components"] == n_bytes - 4

    def test_the_best_cone_is_compared_with_the_best_rival_item_by_item(self, record):
        for name, task in record["tasks"].items():
            found = task["margin"]
            assert (found is None) == (task["metric"] == "auroc")
            if found is None:
                continue
            ours, theirs = (breakeven.chosen(task, arm) for arm in ("reuse", "retrain"))
            assert (found["ours"], found["theirs"]) == (ours["name"], theirs["name"])
            assert found["difference"] == pytest.approx(ours["quality"] - theirs["quality"])
            lo, hi = found["difference_ci"]
            spread = [row["quality_ci"][1] - row["quality_ci"][0] for row in (ours, theirs)]
            assert lo <= found["difference"] <= hi and hi - lo < sum(spread)
            line = f"{name}: {table.paired(task['metric'], found)}, n = {found['n']}"
            assert line in table.text(record)

    def test_all_tasks_use_one_file_and_the_record_names_it(self, study, again, folder):
        file, path = study.record["cone"]["file"], folder / model.FILE
        assert path.stat().st_size == file["bytes"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
        assert again[0]["cone"]["file"] == file  # one seed, one file
        saved = model.Model.read(path)
        assert list(saved.every) == list(study.model.every)
        for one, two in zip(saved.every.values(), study.model.every.values(), strict=True):
            assert np.array_equal(one.W, two.W)
            assert np.array_equal(one.prior.covariance, two.prior.covariance)
            assert not one.W.flags.writeable

    def test_another_model_than_the_records_is_not_written(self, study, tmp_path):
        record = copy.deepcopy(study.record)
        record["cone"]["file"]["sha256"] = "0" * 64
        with pytest.raises(ValueError, match="the study's model is not the one"):
            write_study(type(study)(record, {}, study.model), tmp_path, command="x")

    def test_the_norms_are_compared_image_by_image(self, record):
        for row in record["tasks"]["denoise_salt_pepper"]["paired"]:
            means = [
                named(record, "denoise_salt_pepper", row[side])["quality"]
                for side in ("ours", "theirs")
            ]
            assert row["difference"] == pytest.approx(means[0] - means[1])
            lo, hi = row["difference_ci"]
            assert lo < row["difference"] < hi and (lo > 0 or "nearest" not in row["ours"])
            assert table.paired("psnr_db", row) in table.text(record)

    def test_the_cone_does_what_the_source_claims(self, record):
        def of(task, start):
            return named(record, task, start)["quality"]

        assert of("classify_0_1", "nearest class cone") > 0.97
        assert of("classify_10", "nearest class cone") > 0.95
        one_norm = of("denoise_salt_pepper", "nearest class cone, 1-norm")
        assert one_norm > of("denoise_salt_pepper", "nearest class cone, 2-norm") + 1
        assert one_norm > of("denoise_salt_pepper", "median filter") + 3
        assert of("inpaint", "nearest class cone, copy-back") > of("inpaint", "biharmonic") + 2
        assert of("inpaint", "nearest class cone, copy-back") > of(
            "inpaint", "nearest class cone, p"
        )
        assert of("separate", "both class cones, W") > of("separate", "half each") + 4
        assert of("detect", "distance to the cones") > 0.9


class TestBreakEven:
    def test_only_tasks_at_equal_or_better_quality_count(self, record):
        answer = record["break_even"]
        for name, verdict in answer["tasks"].items():
            found = record["tasks"][name]["margin"]
            better = verdict["reuse_quality"] >= verdict["retrain_quality"]
            good = better if found is None else found["difference_ci"][1] >= 0
            assert good or not better
            assert verdict["reached"] == good == (name in answer["equal_quality"]["tasks"])
        assert answer["cone_quality"]["tasks"] == tasks.names()

    @pytest.mark.parametrize("scenario", ["equal_quality", "cone_quality"])
    @pytest.mark.parametrize("unit", ["seconds", "cpu_seconds", "joules"])
    def test_its_counts_follow_from_its_costs(self, record, scenario, unit):
        answer = record["break_even"][scenario][unit]
        given = dict(answer["costs"])
        n_tasks, n_items = int(given.pop("n_tasks")), given.pop("n_items")
        again = break_even(**given, n_tasks=n_tasks, n_items=n_items, unit=unit).as_dict()
        assert again == answer
        assert [s["rho"] for s in answer["sensitivity"]] == [0.5, 1.0, 2.0]

    def test_the_cone_pays_its_training_in_full(self, record):
        answer = record["break_even"]["cone_quality"]["cpu_seconds"]
        assert answer["costs"]["train_shared"] == record["cone"]["cost"]["cpu_seconds"]


@pytest.fixture(scope="module")
def folder(study, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "new" / "folder"
    assert write_study(study, out, command="fastcone study <quick>") == out / "report.html"
    return out


class TestOutput:
    def test_json_is_the_record(self, study, folder):
        found = json.loads((folder / "study.json").read_text())
        assert found.pop("command") == "fastcone study <quick>"
        assert found == json.loads(json.dumps(study.record))

    def test_there_is_a_picture_of_each_task_the_cones_the_costs_and_the_break_even(self, folder):
        names = {path.stem for path in folder.glob("*.png")}
        assert names == {*tasks.names(), "cone", "costs", "break_even"}
        for path in folder.glob("*.png"):
            assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5000

    def test_the_report_is_one_file_that_names_every_contender(self, study, folder):
        page = (folder / "report.html").read_text()
        sources = re.findall(r'(?:src|href)="([^"]*)"', page)
        assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
        assert len([s for s in sources if s.startswith("data:")]) == len(tasks.names()) + 3
        assert "fastcone study &lt;quick&gt;" in page and "<quick>" not in page
        for _, row in rows(study.record):
            assert row["name"].replace("&", "&amp;") in page
        assert "modelled" in page or "measured" in page

    def test_the_report_is_well_formed(self, folder):
        class Tags(HTMLParser):
            open: ClassVar[list[str]] = []

            def handle_starttag(self, tag, attributes):
                if tag not in ("img", "meta"):
                    self.open.append(tag)

            def handle_endtag(self, tag):
                assert self.open.pop() == tag

        tags = Tags()
        tags.feed((folder / "report.html").read_text())
        assert tags.open == []

    def test_a_malformed_record_is_not_written(self, study, tmp_path):
        record = copy.deepcopy(study.record)
        record["schema"] = 7
        spoilt = type(study)(record, study.galleries, study.model)
        with pytest.raises(ValueError, match="schema: 1 was expected"):
            write_study(spoilt, tmp_path / "out", command="x")
        assert not (tmp_path / "out").exists()

    def test_the_text_table_has_a_line_per_task_and_the_price_of_the_cones(self, study):
        text = table.text(study.record)
        for name, task in study.record["tasks"].items():
            line = next(line for line in text.splitlines() if line.startswith(name + " "))
            best = breakeven.chosen(task, "reuse")
            assert table.quality(task["metric"], best["quality"]) in line
        assert "trained once" in text and "Break-even" in text
        assert max(map(len, text.splitlines())) <= 160
