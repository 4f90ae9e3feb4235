"""What linear denoisers keep of planted lesions is what can be computed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffdenoise.trust.insertion import CONTRASTS, KINDS, Row, insertion_test
from diffdenoise.trust.places import disc
from diffdenoise.trust.slab import Redenoise, Slab, cut_slab
from diffdenoise.trust.spread import Spread
from diffdenoise.trust.tried import insertion_section
from diffdenoise.types import Stack

from .pairs import LEVEL, Blur, noise_like, nothing, paired_of, rounds, same


def planted_in(
    again: Redenoise, *, thickness: float = np.inf, side: int = 256
) -> tuple[Slab, tuple[Row, ...]]:
    clean = rounds(6, side)
    noisy = clean + noise_like(clean.shape)
    slab = cut_slab(paired_of(noisy, noisy), again, thickness)
    assert slab is not None
    return slab, insertion_test(slab, again, Spread(slab, again))


def test_who_leaves_all_as_it_is_keeps_all_and_gains_nothing() -> None:
    _, rows = planted_in(same)
    assert {(row.shape, row.size) for row in rows} == set(KINDS)
    assert {row.contrast for row in rows} == set(CONTRASTS)
    assert {row.structured for row in rows} == {False, True}
    for row in rows:
        assert row.kept == pytest.approx(1, abs=1e-4)
        assert row.gain == pytest.approx(1, abs=1e-4)
        assert row.count >= 3


@pytest.mark.parametrize("width", [0.8, 1.5])
def test_a_linear_denoiser_keeps_what_its_filter_keeps(width: float) -> None:
    _, rows = planted_in(Blur(width))
    rows_of, columns = np.indices((29, 29)) - 14
    for row in (one for one in rows if one.shape == "disc"):
        unit = disc(rows_of, columns, row.size)
        expected = (Blur(width).of(unit[np.newaxis])[0] * unit).sum() / (unit**2).sum()
        assert row.kept == pytest.approx(expected, abs=0.01)
        assert row.kept_error < 0.01
    # White noise under a shape is smoothed as well: d' of who knows the shape hardly grows.
    gains = [row.gain for row in rows if row.size == 8]
    assert np.mean(gains) == pytest.approx(1, abs=0.1)


def test_who_gives_nothing_keeps_nothing() -> None:
    slab, _ = planted_in(same)
    constant = replace(slab, denoised=slab.noisy)

    def ignores(volume: int, first: int, values: Stack) -> Stack:
        return slab.noisy

    rows = insertion_test(constant, ignores, Spread(constant, ignores))
    assert rows
    for row in rows:
        assert row.kept == 0
        assert np.isnan(row.gain)
    section = insertion_section(rows)
    assert section.findings[0].grade == "do not trust"
    assert {line[-1] for line in section.tables[0].rows} == {"not told"}


def test_thresholding_loses_the_faint_ones() -> None:
    clean = rounds(6, 256)
    base = clean.astype(np.float32)

    def soft(volume: int, first: int, values: Stack) -> Stack:
        """Keep of what differs from the clean image what is beyond 2 stds."""
        off = values - base[first : first + len(values)]
        return base[first : first + len(values)] + np.sign(off) * np.maximum(np.abs(off) - 2 * LEVEL, 0)

    slab = cut_slab(paired_of(clean + 1e-4 * noise_like(clean.shape), clean), soft)
    assert slab is not None
    rows = insertion_test(slab, soft, Spread(slab, soft))
    for row in rows:
        if row.shape == "disc" and row.size >= 8:
            # (4 - 2) / 4 of the strong ones; at the rim less.
            assert row.kept == pytest.approx({1.0: 0.0, 2.0: 0.0, 4.0: 0.5}[row.contrast], abs=0.05)


def test_a_lesion_is_as_thick_as_it_is_wide() -> None:
    seen: list[Stack] = []

    def watched(volume: int, first: int, values: Stack) -> Stack:
        seen.append(values.copy())
        return values

    slab, _ = planted_in(watched, thickness=4.0)
    # The result as it is, three pairs, then four passes: those are told by what was planted.
    planted = [one - slab.noisy for one in seen[-4:]]
    middle = np.array([np.abs(one).max((1, 2)) > 0 for one in planted])
    # The middle slice lies at 1, of 16 px at 4 px a slice there is one beside it on either side.
    assert middle[:, :3].all()
    seen.clear()
    slab, _ = planted_in(watched)
    counts = np.array(
        [[(np.abs(one[k]) > 0).sum() for k in range(6)] for one in (e - slab.noisy for e in seen[-4:])]
    )
    # Slices that are images of their own have lesions of their own each.
    assert (counts > 0).all()


def test_without_room_nothing_is_planted() -> None:
    _, rows = planted_in(same, side=32)
    assert rows == ()
    section = insertion_section(rows)
    assert section.findings == ()
    assert "too little tissue" in str(section.missing)
    clean = rounds(2, 64)
    slab = cut_slab(paired_of(clean + noise_like(clean.shape), clean, rician_std=LEVEL), nothing)
    assert slab is not None
    assert insertion_test(slab, nothing, Spread(slab, nothing)) == ()


def test_the_least_kept_of_large_clear_discs_is_judged() -> None:
    def row(size: int, contrast: float, kept: float, shape: str = "disc") -> Row:
        return Row(shape, size, contrast, False, 9, kept, 0.01, 1.0)  # type: ignore[arg-type]

    rows = (
        row(4, 4.0, 0.1),
        row(8, 1.0, 0.2),
        row(14, 4.0, 0.3, "line"),
        row(8, 2.0, 0.65),
        row(16, 4.0, 0.9),
    )
    (finding,) = insertion_section(rows).findings
    assert (finding.value, finding.grade) == (0.65, "look closer")
    assert "discs of 8 px and 2 noise stds" in finding.says
    assert insertion_section(rows[:3]).missing is not None
    table = insertion_section(rows).tables[0]
    assert table.rows[0] == ("disc of 4 px", "4 noise std", "flat", "9", "10% ± 1%", "1.00")
