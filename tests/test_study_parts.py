# SPDX-License-Identifier: BSD-3-Clause
"""The parts of the study: images, corruptions, classical methods, metrics, costs."""

from pkgutil import iter_modules
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.ndimage as ndi
from sklearn.metrics import roc_auc_score

from fastcone.green import PowercapMeter
from fastcone.study import account, breakeven, corrupt, data, metrics, tasks
from fastcone.study.methods import classical, trained
from fastcone.study.report import text as table

SHAPE = (28, 28)


@pytest.fixture(scope="module")
def digits():
    return data.load_digits(0)


def blobs(rng, n=40, shape=SHAPE):
    """Smooth images: a bright spot somewhere on black."""
    i, j = np.indices(shape)
    ci, cj = rng.uniform(8, shape[0] - 8, (2, n, 1, 1))
    return np.exp(-((i - ci) ** 2 + (j - cj) ** 2) / 18).reshape(n, -1)


class TestMetrics:
    def test_psnr_is_the_formula_after_clipping(self, rng):
        truth, estimate = rng.random((5, 64)), rng.normal(size=(5, 64))
        error = np.mean((np.clip(estimate, 0, 1) - truth) ** 2, axis=1)
        np.testing.assert_allclose(metrics.psnr(estimate, truth), 10 * np.log10(1 / error))

    def test_psnr_of_parts_is_the_mean_of_theirs(self, rng):
        truth, estimate = rng.random((2, 5, 128))
        each = [metrics.psnr(estimate[:, s], truth[:, s]) for s in (slice(64), slice(64, None))]
        np.testing.assert_allclose(metrics.psnr(estimate, truth, 2), np.mean(each, axis=0))

    def test_psnr_of_a_perfect_answer_is_finite(self):
        assert metrics.psnr(np.ones((1, 4)), np.ones((1, 4)))[0] == metrics.BEST_DB

    def test_the_interval_of_an_accuracy_is_the_formula_of_wilson(self):
        right, (lo, hi) = metrics.accuracy_quality(np.arange(2000) < 1996, np.ones(2000, bool))
        assert right == 0.998
        assert (round(100 * lo, 2), round(100 * hi, 2)) == (99.49, 99.92)

    def test_bootstrap_of_a_mean_is_the_normal_interval(self, rng):
        values = rng.normal(20, 2, 400)
        mean, (lo, hi) = metrics.mean_quality(values)
        half = 1.96 * values.std() / np.sqrt(len(values))
        assert mean == values.mean()
        assert lo == pytest.approx(mean - half, abs=half / 8)
        assert hi == pytest.approx(mean + half, abs=half / 8)

    def test_bootstrap_covers_the_truth_about_95_times_in_100(self, rng, monkeypatch):
        monkeypatch.setattr(metrics, "RESAMPLES", 300)
        hits = 0
        for _ in range(200):
            _, (lo, hi) = metrics.mean_quality(rng.normal(size=60))
            hits += lo <= 0 <= hi
        assert 175 <= hits <= 199

    def test_auroc_agrees_with_scikit_learn(self, rng):
        scores, bad = rng.integers(0, 9, 200).astype(float), rng.random(200) < 0.3
        assert metrics.auroc(scores, bad) == pytest.approx(roc_auc_score(bad, scores), abs=1e-12)

    def test_auroc_quality_takes_each_class_in_turn(self, rng):
        y = np.repeat([3, 5, 8], 40)
        scores = np.stack([(y == label) + rng.random(120) for label in (3, 5, 8)])
        area, (lo, hi) = metrics.auroc_quality(scores, y, [3, 5, 8])
        each = [roc_auc_score(y == c, s) for c, s in zip((3, 5, 8), scores, strict=True)]
        assert area == pytest.approx(np.mean(each))
        assert lo <= area <= hi <= 1


class TestCorruptions:
    def test_gaussian_noise_has_its_deviation_where_it_is_not_clipped(self, rng):
        x = np.full((50, 784), 0.5)
        noisy = corrupt.gaussian(x, rng)
        inner = noisy[(noisy > 0) & (noisy < 1)]
        share = len(inner) / x.size  # 2.5 sigma on either side
        assert share == pytest.approx(0.98758, abs=0.003)
        assert inner.std() == pytest.approx(0.2 * 0.9546, rel=0.01)  # of a normal cut at 2.5 sigma
        assert np.all(x == 0.5)

    def test_salt_and_pepper_hits_a_quarter_half_of_it_white(self, rng):
        x = np.full((50, 784), 0.5)
        noisy = corrupt.salt_pepper(x, rng)
        assert set(np.unique(noisy)) == {0.0, 0.5, 1.0}
        assert np.mean(noisy != 0.5) == pytest.approx(0.25, abs=0.01)
        assert np.mean(noisy == 1.0) == pytest.approx(0.125, abs=0.01)

    def test_the_wave_is_the_formula_of_the_source(self):
        i, j = np.indices(SHAPE)
        expected = (1 + np.sin(2 * np.pi * 5 * (i + j) / 28 + 0.7)) / 7
        found = corrupt.wave(SHAPE, np.array([0.7]))[0]
        np.testing.assert_allclose(found, expected.ravel(), atol=1e-12)

    def test_periodic_noise_is_clipped_and_differs_per_image(self, rng):
        noisy = corrupt.periodic(np.ones((3, 784)), SHAPE, rng)
        assert np.all(noisy == 1)
        noisy = corrupt.periodic(np.zeros((3, 784)), SHAPE, rng)
        assert not np.allclose(noisy[0], noisy[1])

    def test_the_stripe_is_rows_11_to_16_of_28(self):
        known = corrupt.stripe(SHAPE).reshape(SHAPE)
        assert not known[11:17].any() and known[:11].all() and known[17:].all()

    @pytest.mark.parametrize("side, width", [(28, 5), (8, 3)])
    def test_the_box_sums_to_one(self, side, width):
        kernel = corrupt.box((side, side))
        assert kernel.shape == (width, width)
        assert kernel.sum() == pytest.approx(1)


class TestClassicalMethods:
    @pytest.mark.parametrize("t", [0.5, 1.0, 2.0])
    def test_heat_flow_for_time_t_is_a_gaussian_of_variance_2t(self, t):
        i, j = np.indices((48, 48)) - 23.5
        spot = np.exp(-(i**2 + j**2) / 50)
        flown = classical.heat_equation(spot.reshape(1, -1), (48, 48), t).reshape(48, 48)
        smooth, narrow = (
            ndi.gaussian_filter(spot, np.sqrt(2 * time), truncate=8) for time in (t, 0.9 * t)
        )
        assert np.abs(flown - smooth).max() < 1.5e-3
        assert np.abs(flown - narrow).max() > 1.5e-3

    def test_heat_is_kept_and_spreads_by_2t(self):
        point = np.zeros((1, 41 * 41))
        point[0, 20 * 41 + 20] = 1
        flown = classical.heat_equation(point, (41, 41), 3.0).reshape(41, 41)
        i = np.arange(41) - 20
        assert flown.sum() == pytest.approx(1)
        assert flown.sum(axis=1) @ i**2 == pytest.approx(6.0, rel=1e-6)

    def test_the_oracle_notch_removes_a_pure_wave(self, rng):
        waves = corrupt.wave(SHAPE, rng.uniform(0, 6, 4))
        assert np.abs(classical.oracle_notch(waves, SHAPE)).max() < 1e-12

    def test_the_blind_notch_finds_the_wave_and_leaves_its_mean(self, rng):
        images = 0.5 * blobs(rng, 6)
        noisy = images + corrupt.wave(SHAPE, rng.uniform(0, 6, 6)) - corrupt.WAVE_HEIGHT
        found = classical.blind_notch(noisy, SHAPE, 4.0)
        assert np.abs(found - images).max() < 0.02 < np.abs(noisy - images).max()

    def test_the_blind_notch_leaves_an_image_without_a_wave_alone(self, rng):
        noise = 0.5 + 0.1 * rng.standard_normal((3, 784))
        np.testing.assert_allclose(classical.blind_notch(noise, SHAPE, 50.0), noise, atol=1e-12)

    def test_biharmonic_keeps_known_pixels_and_fills_a_smooth_image(self, rng):
        images, known = blobs(rng, 4), corrupt.stripe(SHAPE)
        filled = classical.biharmonic(images * known, SHAPE, known)
        np.testing.assert_array_equal(filled[:, known], images[:, known])
        assert metrics.psnr(filled, images).min() > 20

    def test_fourier_deblurring_undoes_a_blur_that_wraps_round(self, rng):
        images = rng.random((3, *SHAPE))
        kernel = np.array([[0.0, 0.1, 0.0], [0.1, 0.6, 0.1], [0.0, 0.1, 0.0]])
        blurred = np.stack([ndi.convolve(image, kernel, mode="wrap") for image in images])
        found = classical.fourier_deblur(blurred.reshape(3, -1), SHAPE, kernel, 1e-12)
        np.testing.assert_allclose(found.reshape(images.shape), images, atol=1e-6)

    def test_both_ways_to_enlarge_keep_a_constant_image(self):
        low = np.full((2, 196), 0.3)
        for enlarge in (classical.bicubic, classical.repeated):
            np.testing.assert_allclose(enlarge(low, SHAPE), 0.3)

    @pytest.mark.parametrize(
        "spoil, method, value",
        [
            (corrupt.gaussian, classical.gaussian_filter, 0.8),
            (corrupt.gaussian, classical.heat_equation, 0.32),
            (corrupt.gaussian, classical.total_variation, 0.2),
            (corrupt.salt_pepper, classical.median_filter, 3),
        ],
    )
    def test_a_filter_improves_on_what_it_was_made_for(self, rng, spoil, method, value):
        images = blobs(rng)
        noisy = spoil(images, rng)
        better = metrics.psnr(method(noisy, SHAPE, value), images).mean()
        assert better > metrics.psnr(noisy, images).mean() + 3

    def test_codes_stay_in_their_budget_and_the_finer_step_is_the_better_one(self, digits):
        x, shape = digits.tune.x, digits.shape
        coarse, few = classical.deflated_dct(x, shape, 0.8)
        fine, many = classical.deflated_dct(x, shape, 0.1)
        assert few < many
        assert metrics.psnr(coarse, x).mean() < metrics.psnr(fine, x).mean()
        whole = classical.dct_code(x, shape, 64 + 4)
        assert metrics.psnr(whole, x).min() > 35  # all 64 coefficients, 8 bits each
        assert metrics.psnr(classical.dct_code(x, shape, 10), x).mean() < 20

    def test_nearest_neighbours_agree_with_brute_force(self, digits):
        known, v = digits.fit, digits.tune.x[:20]
        distance = np.linalg.norm(v[:, None] - known.x[None], axis=2)
        found = classical.nearest_neighbour_distance(v, known.x)
        np.testing.assert_allclose(found, distance.min(axis=1), atol=1e-7)
        labels = classical.nearest_neighbour_label(v, known.x, known.y)
        np.testing.assert_array_equal(labels, known.y[distance.argmin(axis=1)])


class TestRivals:
    def test_ridge_and_network_improve_on_gaussian_noise(self, digits):
        rng = np.random.default_rng(1)
        x = digits.fit.x
        tune = (corrupt.gaussian(digits.tune.x, rng), digits.tune.x)
        spoilt = metrics.psnr(*tune).mean()
        ridge, _ = trained.train_ridge((corrupt.gaussian(x, rng), x), tune)
        net, settings = trained.train_mlp(
            lambda: (corrupt.gaussian(x, rng), x), tune, 0, width=128, rounds=10
        )
        assert metrics.psnr(ridge(tune[0]), tune[1]).mean() > spoilt + 2
        assert metrics.psnr(net(tune[0]), tune[1]).mean() > spoilt + 1
        assert settings["best_round"] <= settings["rounds"] <= 10

    def test_classifiers_learn_the_digits(self, digits):
        logistic, _ = trained.train_logistic(digits.fit, digits.tune)
        net, _ = trained.train_mlp_classifier(digits.fit, digits.tune, 0, width=64, rounds=10)
        for predict in (logistic, net):
            assert np.mean(predict(digits.test.x) == digits.test.y) > 0.9

    def test_the_best_round_is_kept(self, digits):
        x = digits.fit.x
        scores = []
        tune = (digits.tune.x, digits.tune.x)
        for rounds in (1, 12):
            net, _ = trained.train_mlp(lambda: (x, x), tune, 0, width=32, rounds=rounds)
            scores.append(metrics.psnr(net(tune[0]), tune[1]).mean())
        assert scores[1] > scores[0]


class TestRegistry:
    @pytest.fixture
    def registered(self, monkeypatch):
        """A copy of the registry, to be changed."""
        monkeypatch.setattr(tasks, "_registered", dict(tasks._registered))
        return tasks._registered

    def test_every_module_registers_a_task(self, registered):
        builders = {build.__module__ for _, build in registered.values()}
        assert builders == {f"{tasks.__name__}.{m.name}" for m in iter_modules(tasks.__path__)}

    def test_a_task_is_shown_at_its_position(self, registered):
        tasks.register("between", position=65)(lambda context: None)
        assert tasks.names()[5:8] == ["inpaint", "between", "deblur"]

    @pytest.mark.parametrize("name, position", [("inpaint", 65), ("other", 60)])
    def test_a_name_or_position_is_taken_once(self, registered, name, position):
        with pytest.raises(ValueError, match="'inpaint' at 60"):
            tasks.register(name, position=position)(lambda context: None)

    def test_a_task_bears_the_name_it_is_registered_under(self, registered):
        registered.clear()
        tasks.register("here", position=1)(lambda context: SimpleNamespace(name="there"))
        with pytest.raises(ValueError, match="'here' must bear that name: 'there'"):
            tasks.build_tasks(None)


class TestCosts:
    def test_a_short_step_is_repeated_and_costs_its_mean(self):
        measured, calls = account.Account(), []
        result, found = measured.steady(lambda: calls.append(1) or len(calls))
        assert result == 1
        assert len(calls) == 1 + account.MOST_RUNS
        assert 0 <= found["seconds"] < account.WINDOW_S

    def test_a_long_step_runs_once(self, monkeypatch):
        monkeypatch.setattr(account, "WINDOW_S", 0.0)
        calls = []
        account.Account().steady(lambda: calls.append(1))
        assert len(calls) == 1

    def test_carbon_is_energy_times_pue_times_intensity_or_unknown(self):
        def work():
            return sum(i * i for i in range(200_000))

        assert account.Account().once(work)[1]["carbon_g"] is None
        found = account.Account(400.0, 1.5).once(work)[1]
        expected = found["energy"]["joules"] / 3.6e6 * 1.5 * 400
        assert found["carbon_g"] == pytest.approx(expected)

    def test_a_sum_is_of_the_worse_kind_and_keeps_the_larger_peak(self):
        one = account.Account().once(lambda: None)[1]
        energy = {"joules": None, "lo": None, "hi": None, "kind": "absent"}
        absent = {**one, "peak_memory_bytes": 2**50, "energy": {**one["energy"], **energy}}
        total = account.added(one, absent)
        assert total["energy"]["kind"] == "absent" and total["energy"]["joules"] is None
        assert total["peak_memory_bytes"] == 2**50
        assert account.added(one, one)["seconds"] == 2 * one["seconds"]

    def test_no_joule_is_measured_without_a_counter(self):
        found = account.Account().once(lambda: sum(range(1000)))[1]
        counter = PowercapMeter().probe().ok
        assert found["energy"]["kind"] == ("measured" if counter else "modelled")


class TestVerdicts:
    """The break-even of tasks whose costs and qualities are made up."""

    def made_up(self, reuse, retrain, joules=1.0):
        def spent(seconds):
            energy = {"joules": joules, "kind": "absent" if joules is None else "modelled"}
            return {"seconds": seconds, "cpu_seconds": seconds, "energy": energy}

        def row(arm, name, quality, train, use):
            return {"arm": arm, "name": name, "oracle": False, "quality": quality,
                    "tune_quality": quality, "train": train and spent(train), "use": spent(use)}  # fmt: skip  # noqa: E501

        found = [row("reuse", "cone", reuse, None, 1.0)]
        found += [row("retrain", f"rival {q}", q, t, 0.5) for q, t in retrain]
        return {"metric": "psnr_db", "n_items": 100, "results": found}, spent(20.0)

    def test_nothing_is_saved_where_no_task_is_reached(self):
        task, cone = self.made_up(20.0, [(21.0, 9.0)])
        answer = breakeven.compare({"t": task}, cone)
        assert answer["equal_quality"] == {
            "tasks": [],
            "seconds": None,
            "cpu_seconds": None,
            "joules": None,
        }
        assert not answer["tasks"]["t"]["reached"]
        assert table.count(answer["equal_quality"]["seconds"]) == "not reached"

    def test_the_cheapest_rival_of_the_cones_quality_is_taken(self):
        task, cone = self.made_up(20.0, [(25.0, 90.0), (20.5, 9.0), (19.0, 1.0)])
        answer = breakeven.compare({"t": task}, cone)
        assert answer["tasks"]["t"]["cheapest_adequate"] == "rival 20.5"
        costs = answer["cone_quality"]["seconds"]["costs"]
        assert costs["train_task"] == 9.0
        assert costs["reuse_item"] == 0.01 and costs["retrain_item"] == 0.005

    def test_the_upper_end_of_the_paired_interval_decides(self):
        task, cone = self.made_up(20.0, [(20.5, 9.0)])
        for hi, reached in ((0.1, True), (0.0, True), (-0.1, False)):
            task["margin"] = {"difference": -0.5, "difference_ci": [-0.9, hi]}
            answer = breakeven.compare({"t": task}, cone)
            assert answer["tasks"]["t"]["reached"] is reached
            assert answer["equal_quality"]["tasks"] == ["t"] * reached

    def test_where_none_reaches_it_the_best_one_is_taken(self):
        task, cone = self.made_up(30.0, [(25.0, 90.0), (20.5, 9.0)])
        answer = breakeven.compare({"t": task}, cone)
        assert answer["tasks"]["t"]["cheapest_adequate"] == "rival 25.0"
        assert answer["equal_quality"]["tasks"] == ["t"]

    def test_absent_joules_give_no_answer_in_joules(self):
        task, cone = self.made_up(30.0, [(25.0, 90.0)], joules=None)
        answer = breakeven.compare({"t": task}, cone)["equal_quality"]
        assert answer["joules"] is None and answer["seconds"] is not None
