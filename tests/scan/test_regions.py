"""Constant regions, padding and NaN are told from data, and from values that noise was cut off at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffdenoise.method.filters import gaussian_kernel, smooth
from diffdenoise.noise.statement import diagnose
from diffdenoise.scan.prepared import HIGHEST, prepare
from diffdenoise.scan.read import from_array, read_scan
from diffdenoise.scan.regions import find_regions
from diffdenoise.scan.scan import Scan

CASES = Path(__file__).parent.parent / "cases"


def disc(shape=(64, 64, 8), radius=0.8):
    """A cylinder of 40 in the middle of the field of view, with a thin rim at its sides: where it is."""
    y, x = (np.linspace(-1, 1, side) for side in shape[:2])
    inside = (y[:, None] ** 2 + x[None] ** 2) < radius**2
    return np.repeat(inside[..., None], shape[2], axis=2)


def head_ct(std=25.0, air=-1000.0, seed=0, width_px=0.0, shape=(64, 64, 8)):
    """CT of a body in air, in HU, with Gaussian noise, clipped at -1024 as scanners do; int16."""
    body = disc(shape, 0.5)
    clean = np.where(body, 40.0, air) + 60 * disc(shape, 0.2)
    noise = np.random.default_rng(seed).normal(size=shape)
    if width_px:
        import torch

        kernel = gaussian_kernel(width_px, torch.device("cpu"))
        slices = torch.from_numpy(np.moveaxis(noise, 2, 0)[:, None]).float()
        noise = np.moveaxis(smooth(slices, kernel, kernel)[:, 0].numpy(), 0, 2)
        noise /= noise.std()
    return np.rint(np.clip(clean + std * noise, -1024, 3071)).astype(np.int16)


def no_data_of(data, axis=2, **changes):
    found = find_regions(replace(from_array(data), **changes), axis).no_data
    return np.zeros(data.shape, bool) if found is None else found


@pytest.mark.parametrize("padding", [-1024, -2000, -3024, -1000, 0, 3071])
def test_padding_outside_of_the_field_of_view_is_found_to_the_last_voxel(padding):
    data, outside = head_ct(), ~disc(radius=0.97)
    data[outside] = padding
    found = no_data_of(data)
    assert found[outside].all()
    # Voxels of air that noise brought to the padding's own value may be taken for it where they touch it.
    assert np.mean(found[~outside]) < (0.03 if padding in (-1024, -1000) else 0.002)


@pytest.mark.parametrize(
    ("air", "width_px"), [(-1000.0, 0.0), (-1024.0, 0.0), (-1040.0, 0.0), (-1000.0, 0.7), (-1024.0, 0.7)]
)
def test_air_that_noise_is_cut_off_in_is_no_region(air, width_px):
    regions = find_regions(from_array(head_ct(air=air, width_px=width_px)), 2)
    # Below the limit, three quarters of the air have its value, and runs of them at the border happen.
    assert regions.no_data is None or regions.no_data.mean() < (0.005 if air >= -1024 else 0.05)
    assert regions.clipped is not None
    assert np.array_equal(regions.unmeasurable, head_ct(air=air, width_px=width_px) == -1024)


@pytest.mark.parametrize("file", ["brain_f4.nii.gz", "brain_i2.nii.gz"])
def test_zeros_around_an_extracted_brain_are_no_data(file):
    scan = read_scan(CASES / "nifti-skull-stripped" / file)
    assert np.array_equal(no_data_of(scan.data), scan.data == 0)


def test_thin_and_small_zeros_of_a_mask_are_no_data_where_no_noise_reaches_zero():
    data = np.random.default_rng(0).normal(500, 40, (48, 40, 6)).astype(np.float32)
    data[:20] = 0
    data[20:, 17] = 0
    data[30, 30, 2] = 0
    assert np.array_equal(no_data_of(data), data == 0)


def test_nan_and_what_the_scan_says_are_no_data():
    data = np.random.default_rng(0).normal(500, 40, (48, 40, 6)).astype(np.float32)
    data[:, :9] = np.nan
    outside = np.zeros(data.shape, bool)
    outside[40:] = True
    assert np.array_equal(no_data_of(data, outside=outside), np.isnan(data) | outside)


def test_a_scan_without_constant_regions_has_none():
    data = np.random.default_rng(0).normal(500, 40, (48, 40, 6))
    for each in (data, np.rint(data).astype(np.int16), np.rint(data / 40).astype(np.uint8)):
        assert no_data_of(each).sum() == 0


def test_saturated_areas_are_no_data_and_saturated_spots_are_data():
    data = np.random.default_rng(0).normal(180, 30, (64, 64, 4))
    data[20:40, 20:40] = 400
    data = np.clip(np.rint(data), 0, 255).astype(np.uint8)
    regions = find_regions(from_array(data), 2)
    area = np.zeros(data.shape, bool)
    area[20:40, 20:40] = True
    assert regions.no_data is not None
    assert regions.no_data[area].all()
    assert regions.no_data[~area].mean() < 0.01
    assert regions.clipped is not None
    assert np.array_equal(regions.no_data | regions.clipped, data == 255)


def test_a_single_image_and_a_series_of_volumes():
    data, outside = head_ct(), ~disc(radius=0.97)
    data[outside] = -3024
    assert np.array_equal(no_data_of(data[:, :, 0], axis=None), outside[:, :, 0])
    series = np.stack([data, data], axis=3)
    assert np.array_equal(no_data_of(series), np.stack([outside, outside], axis=3))


def restored(scan: Scan, change: float):
    ready = prepare(scan)
    return ready.restored([stack + np.float32(change) for stack in ready.stacks]).whole(), ready


def test_restoring_gives_regions_back_bit_for_bit_and_the_rest_as_computed():
    data = head_ct().astype(np.float32)
    outside = ~disc(radius=0.97)
    data[outside] = -3024
    data[:, :3] = np.nan
    result, ready = restored(from_array(data), 0.1)
    nothing = outside | np.isnan(data)
    assert np.array_equal(result[nothing], data[nothing], equal_nan=True)
    assert result[~nothing] == pytest.approx(data[~nothing] + 0.1 * ready.intensities.range, abs=0.01)


def test_an_outlier_stays_and_networks_see_no_more_than_the_limit():
    data = np.random.default_rng(0).normal(500, 40, (48, 40, 6)).astype(np.float32)
    data[10, 10, 3] = 1e20
    result, ready = restored(from_array(data), 0.0)
    assert max(float(stack.max()) for stack in ready.stacks) == HIGHEST
    assert result[10, 10, 3] == pytest.approx(1e20)
    data[10, 10, 3] = 0
    result[10, 10, 3] = 0
    assert result == pytest.approx(data, abs=0.01)


def test_networks_meet_padding_inside_of_the_range():
    data = head_ct()
    data[~disc(radius=0.97)] = -3024
    ready = prepare(from_array(data))
    assert ready.known is not None
    assert float(ready.stacks[0][~ready.known[0]].min()) >= 0


@pytest.mark.parametrize("padding", [None, -1024, -2000, -3024])
@pytest.mark.parametrize("std", [15.0, 25.0, 40.0])
def test_padding_and_clipped_air_do_not_change_the_level(padding, std):
    data = head_ct(std, shape=(96, 96, 8))
    if padding is not None:
        data[~disc((96, 96, 8), 0.97)] = padding
    noise = diagnose(from_array(data))
    assert noise.std == pytest.approx(std, rel=0.12)
    assert not noise.diagnosis.is_clean(0.1)


@pytest.mark.parametrize("file", ["ct_padding_-1024.nii.gz", "ct_padding_-3024.nii.gz"])
def test_padded_ct_has_the_noise_that_was_added(file):
    noise = diagnose(read_scan(CASES / "nifti-ct-padding" / file))
    assert noise.std == pytest.approx(25, rel=0.1)


def test_regions_without_data_do_not_count_in_the_range():
    body = np.random.default_rng(0).normal(1000, 50, (96, 96, 8))
    body[~disc((96, 96, 8), 0.97)] = -3024
    assert prepare(from_array(body.round().astype(np.int16)), 2).intensities.range < 500
