"""The whole report: which sections there are, what they say, and the verdict."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from diffdenoise.noise.correlation import Correlation
from diffdenoise.trust.evidence import Evidence, Section
from diffdenoise.trust.examine import examine
from diffdenoise.trust.places import disc
from diffdenoise.types import Stack

from .pairs import LEVEL, Blur, Volume, noise_like, paired_of, rounds

CLEAN = rounds(8, 128, 1.2)
NOISY = CLEAN + noise_like(CLEAN.shape)
AGAIN = {"insertion", "uncertainty", "stability"}


def section(evidence: Evidence, key: str) -> Section:
    return next(one for one in evidence.sections if one.key == key)


def figure(evidence: Evidence, key: str) -> float:
    return float(evidence.as_dict()["figures"][key])


def oracle(volume: int, first: int, values: Stack) -> Stack:
    """Shrinks what differs from the clean image to a tenth."""
    base = CLEAN[first : first + len(values)].astype(np.float32)
    return base + np.float32(0.1) * gaussian_filter(values - base, (0, 1, 1))


def test_the_clean_image_is_fine() -> None:
    found = examine(paired_of(NOISY, CLEAN), why="nobody said who made it")
    evidence = found.evidence
    assert evidence.verdict == "fine", [one.says for one in evidence.reasons]
    assert found.tried is None
    assert evidence.places == ()
    assert [one.key for one in evidence.sections] == [
        *("noise", "structure", "insertion", "resolution", "uncertainty", "stability", "intensity")
    ]


def test_without_a_denoiser_what_needs_one_says_why_it_is_missing() -> None:
    evidence = examine(paired_of(NOISY, CLEAN), why="nobody said who made it").evidence
    for one in evidence.sections:
        if one.key in AGAIN:
            assert one.missing == "not measured: nobody said who made it"
            assert one.findings == ()
        else:
            assert one.missing is None
            assert one.findings
    assert "nobody said who made it" in " ".join(section(evidence, "resolution").notes)


def test_with_one_all_sections_are_there() -> None:
    blur = Blur(0.7)
    evidence = examine(paired_of(NOISY, blur.of(NOISY)), again=blur, unit="HU").evidence
    assert all(one.missing is None for one in evidence.sections)
    tree = evidence.as_dict()
    assert set(tree["figures"]) >= {
        "contrast_kept",
        "rmse",
        "region_error",
        "pair_correlation",
        "edge_spread",
    }
    assert figure(evidence, "pair_correlation") == pytest.approx(-1, abs=0.001)
    off = (blur.of(NOISY) - CLEAN)[:, 30:100, 30:100]
    assert figure(evidence, "rmse") == pytest.approx(np.sqrt((off**2).mean()), rel=0.15)
    assert "HU" in section(evidence, "uncertainty").findings[1].says


def test_a_strong_blur_is_not_to_be_trusted() -> None:
    blur = Blur(2.5)
    evidence = examine(paired_of(NOISY, blur.of(NOISY)), again=blur).evidence
    assert evidence.verdict == "do not trust"
    worst = {one.key for one in evidence.reasons if one.grade == "do not trust"}
    assert {"structure_lost", "at_edges", "edge_spread"} <= worst


def test_one_that_keeps_little_of_what_is_planted_is_not_to_be_trusted() -> None:
    result = CLEAN + 0.1 * gaussian_filter(NOISY - CLEAN, (0, 1, 1))
    evidence = examine(paired_of(NOISY, result), again=oracle).evidence
    assert figure(evidence, "contrast_kept") < 0.12
    assert evidence.verdict == "do not trust"
    # Where nothing else is wrong, by the planted lesions alone.
    assert [one.key for one in evidence.reasons if one.grade == "do not trust"] == ["contrast_kept"]


def test_an_erased_lesion_is_named_with_its_slice() -> None:
    rows, columns = np.indices((128, 128))
    noisy = NOISY.copy()
    noisy[5] += 3 * LEVEL * disc(rows - 60, columns - 70, 8)
    evidence = examine(paired_of(noisy, CLEAN), why="not asked").evidence
    assert evidence.verdict in ("look closer", "do not trust")
    assert (evidence.reasons[0].key, evidence.places[0].slice) == ("strongest_place", 5)
    assert "1 place stands out" in evidence.reasons[0].says
    assert evidence.places[0].kind.startswith("something bright was taken off")


def test_an_unchanged_scan_is_said_to_be_one() -> None:
    found = examine(paired_of(NOISY, NOISY), why="no")
    assert found.tried is None
    assert found.evidence.verdict == "fine"
    assert [one.key for one in found.evidence.sections] == ["noise"]
    assert "left as it was" in found.evidence.sections[0].findings[0].says


def test_a_scan_without_noise_that_was_changed_is_to_be_looked_at() -> None:
    smooth = gaussian_filter(CLEAN, (0, 0.4, 0.4))
    evidence = examine(paired_of(CLEAN, smooth, std=0.0), again=Blur(0.4)).evidence
    assert evidence.sections[0].key == "statement"
    assert "no noise was found" in evidence.sections[0].findings[0].says
    assert evidence.sections[0].findings[0].grade == "do not trust"
    assert evidence.verdict == "do not trust"
    for key in AGAIN:
        assert "isn't known" in str(section(evidence, key).missing)
    # Nothing is told in numbers of a noise that isn't there, in words neither.
    for one in evidence.sections:
        for finding in one.findings:
            assert "nan" not in finding.words, finding.key


def test_a_bound_of_the_noise_is_no_level() -> None:
    evidence = examine(paired_of(NOISY, CLEAN, std=3 * LEVEL, is_upper_bound=True), why="no").evidence
    assert evidence.sections[0].key == "statement"
    assert "upper bound" in evidence.sections[0].findings[0].says
    assert evidence.sections[0].findings[0].grade == "look closer"
    noise = {one.key: one for one in section(evidence, "noise").findings}
    # That less was taken off than the noise is at most is no fault.
    assert noise["least_taken_off"].grade is None
    assert "at most" in section(evidence, "noise").notes[0]


def test_noise_left_in_a_blend_is_told_but_its_structure_is_that_of_what_was_blended() -> None:
    results = [CLEAN + share * (NOISY - CLEAN) for share in (0.0, 0.4)]
    ideal, blend = (examine(paired_of(NOISY, one), why="no").evidence for one in results)
    assert figure(blend, "noise_left") == pytest.approx(0.4 / 0.6, abs=0.05)
    assert figure(blend, "taken_off") == pytest.approx(0.6, abs=0.03)
    for key in ("structure_lost", "at_edges", "edge_spread"):
        assert figure(blend, key) == pytest.approx(figure(ideal, key), abs=0.08)
    assert {one.key for one in blend.reasons} == {"noise_left", "least_taken_off"}
    assert blend.verdict == "look closer"


def test_a_brighter_result_is_not_measured_on() -> None:
    evidence = examine(paired_of(NOISY, CLEAN + 1.0 * LEVEL), unit="HU", why="no").evidence
    assert evidence.verdict == "do not trust"
    assert figure(evidence, "intensity_shift") == pytest.approx(1, abs=0.05)
    assert "HU brighter than before" in evidence.reasons[0].says
    assert evidence.reasons[0].key == "intensity_shift"


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({}, "Gaussian, 5.00% of the range, white."),
        ({"correlation": Correlation.gaussian(0.7)}, "correlated over 0.7 x 0.7 pixels"),
        ({"rician_std": LEVEL}, "Rician"),
        ({"rician_std": LEVEL, "coils": 4}, "noncentral chi (4 coils)"),
        ({"std": 0.0}, "No noise was found"),
    ],
)
def test_the_noise_is_stated_in_words(known: dict, words: str) -> None:
    noisy: Volume = np.abs(NOISY) if "rician_std" in known else NOISY
    evidence = examine(paired_of(noisy, CLEAN, **known), why="no").evidence
    assert words in section(evidence, "noise").notes[0]


def test_a_named_region_is_told_and_where_it_cannot_be_why() -> None:
    blur = Blur(1.0)
    paired = paired_of(NOISY, blur.of(NOISY))
    roi = np.zeros(NOISY.shape, bool)
    told = [
        section(examine(paired, again=blur, roi=one).evidence, "uncertainty").tables[-1]
        for one in (roi, _square(roi))
    ]
    assert told[0].rows == (("not told", "the region is empty, or holds no data"),)
    assert told[1].rows[0][0] == "voxels, in slices"
    without = examine(paired, why="no", roi=_square(roi)).evidence
    assert section(without, "uncertainty").missing == "not measured: no"


def _square(roi: np.ndarray) -> np.ndarray:
    found = roi.copy()
    found[2:4, 50:58, 60:68] = True
    return found


def test_the_same_seed_says_the_same() -> None:
    blur = Blur(1.0)
    paired = paired_of(NOISY, blur.of(NOISY))
    one, same, other = (
        examine(paired, again=blur, seed=seed).evidence.as_dict()["figures"] for seed in (0, 0, 1)
    )
    assert one == same
    assert one["rmse"] != other["rmse"]
    assert one["rmse"] == pytest.approx(other["rmse"], rel=0.05)
