from __future__ import annotations

import subprocess
import sys

import pytest

from diffdenoise.errors import FormatError
from diffdenoise.scan.registry import FORMATS, format_named, format_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.nii", "nifti"),
        ("a.b.nii.gz", "nifti"),
        ("A.NII.GZ", "nifti"),
        ("a.png", "png"),
        ("a.tif", "tiff"),
        ("a.ome.TIFF", "tiff"),
        ("IM0001.DCM", "dicom"),
        ("a.npy", "numpy"),
        ("a.npz", "numpy"),
    ],
)
def test_the_suffix_names_the_format(name, expected):
    assert format_of(name).name == expected


@pytest.mark.parametrize("name", ["a.gz", "a.jpg", "a", "nii", "a.nii.gz.txt"])
def test_an_unknown_suffix_lists_what_is_read(name):
    with pytest.raises(FormatError) as caught:
        format_of(name)
    assert all(suffix in str(caught.value) for fmt in FORMATS for suffix in fmt.suffixes)


def test_names_and_suffixes_are_unique():
    names = [fmt.name for fmt in FORMATS]
    suffixes = [suffix for fmt in FORMATS for suffix in fmt.suffixes]
    assert len(set(names)) == len(names)
    assert len(set(suffixes)) == len(suffixes)
    assert [format_named(name) for name in names] == list(FORMATS)
    assert format_named("array") is None


def test_importing_scan_and_noise_leaves_the_heavy_libraries_alone():
    code = (
        "import sys, diffdenoise.scan.read, diffdenoise.scan.write, diffdenoise.noise.simulate;"
        "print(sorted({'torch', 'matplotlib', 'skimage', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
