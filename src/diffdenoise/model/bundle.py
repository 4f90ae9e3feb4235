"""A model as a MONAI bundle: a folder that `python -m monai.bundle run` denoises NIfTI files with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.resources import files
from pathlib import Path
from typing import Any

from diffdenoise._version import __version__
from diffdenoise.errors import OutputError, PackageError
from diffdenoise.model.record import ModelRecord
from diffdenoise.networks.shipped import shipped

#: Files of a bundle.
METADATA, INFERENCE, NETWORK = "configs/metadata.json", "configs/inference.json", "scripts/onnx_denoiser.py"
MODEL, README, LICENSE = "models/model.onnx", "docs/README.md", "LICENSE"
#: What METADATA is to be checked against.
SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
)
#: With which such bundles were run.
_RUN_WITH = {"monai_version": "1.6.1", "pytorch_version": "2.13.0"}
_IGNITE = "0.5.5"
_USE = "Noise taken off medical images, for research. Not for diagnosis without a look at the noisy image."

#: The README of a bundle, with gaps.
_README = "bundle_readme.md"


@dataclass(frozen=True)
class About:
    """What a bundle says of its model, in words.

    Attributes
    ----------
    title : str
        Of the bundle.
    data, noise, limits : str
        What it learned from, is for, and doesn't know.
    """

    title: str
    data: str
    noise: str
    limits: str


def about_model(record: ModelRecord) -> About:
    """Return what is to be said of a model, by its record and the card of the weights that it began with."""
    noise = record.noise.model()
    down, right = noise.correlation.width_px
    said = f"correlated over {down:.2g} x {right:.2g} px" if max(down, right) > 0 else "white"
    if record.rician_std is not None:
        said += ", of magnitudes"
    level = f"Std {noise.typical_std:.2%} of the intensity range, {said}."
    card = next((one for one in shipped() if one.name == record.weights), None)
    begun = "" if card is None else f"The weights `{card.name}` that come with DiffDenoise: {card.data}."
    limits = "" if card is None else f"- Of these weights: {card.limits}.\n"
    if record.fingerprint is None:
        return About(f"DiffDenoise, weights {record.weights}", begun, level, limits)
    learned = (
        f"{record.data.get('slices', '?')} slices of {record.data.get('scans', '?')} noisy scan(s) alone; "
        f"{record.kept_share:.0%} of what that changed is kept."
    )
    limits += "- It has learned from these scans: train another for scans of another kind.\n"
    return About("DiffDenoise, trained", f"{begun} Trained on {learned}".strip(), level, limits)


def write_bundle(folder: Path, content: bytes, channels: int, axis: int | None, about: About) -> None:
    """Write a bundle.

    Parameters
    ----------
    folder : path
        To make its files in.
    content : bytes
        The ONNX file: see `export.exported`.
    channels : int
        Slices that go in for one.
    axis : int or None
        Across the slices; None: chosen for each scan.
    about : About
        What is said of it.
    """
    texts = {
        METADATA: json.dumps(_metadata(channels, about), indent=4),
        INFERENCE: json.dumps(_inference(axis), indent=4),
        README: (files("diffdenoise") / "model" / _README)
        .read_text(encoding="utf-8")
        .format(**vars(about), use=_USE, version=__version__),
        NETWORK: (files("diffdenoise") / "networks" / "onnx_denoiser.py").read_text(encoding="utf-8"),
        "scripts/__init__.py": "",
        LICENSE: _licence(),
    }
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / MODEL).parent.mkdir()
    (folder / MODEL).write_bytes(content)


def check_bundle_place(folder: Path, overwrite: bool) -> None:
    """Raise `OutputError` if a bundle can't be made there: nothing but a bundle is replaced."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() and not overwrite:
        raise OutputError(f"{folder}: exists already; choose another name or overwrite it")
    if folder.exists() and not ((folder / METADATA).is_file() and (folder / NETWORK).is_file()):
        raise OutputError(f"{folder}: is no bundle, and is not replaced by one; choose another name")


def _metadata(channels: int, about: About) -> dict[str, Any]:
    """What `verify_metadata` of MONAI reads."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "changelog": {__version__: "exported"},
        **_RUN_WITH,
        "numpy_version": version("numpy"),
        "required_packages_version": {
            **{name: version(name) for name in ("nibabel", "onnxruntime")},
            "pytorch-ignite": _IGNITE,
        },
        "name": about.title,
        "task": "Denoising of medical images",
        "description": f"A U-Net that takes noise off a scan. Learned from: {about.data} For: {about.noise}",
        "authors": "DiffDenoise contributors",
        "copyright": "Copyright (c) DiffDenoise contributors; Apache-2.0",
        "data_source": about.data,
        "data_type": "nibabel",
        "image_classes": "one channel: a noisy scan, in its own intensities",
        "pred_classes": "one channel: the scan without noise, in the same intensities",
        "intended_use": _USE,
        "references": ["https://arxiv.org/abs/2504.00264"],
        "network_data_format": {
            "inputs": {"image": _tensor(1, 3, {"0": "noisy"})},
            "outputs": {"pred": _tensor(1, 3, {"0": "denoised"})},
        },
        "onnx_data_format": {
            "inputs": {
                "noisy": _tensor(channels, 2, {"0": "slice", **_neighbours(channels)}),
                "low": "number: 0.5th percentile of the scan's intensities",
                "high": "number: 99.5th percentile of the scan's intensities",
            },
            "outputs": {"denoised": _tensor(1, 2, {"0": "slice"})},
        },
    }


def _tensor(channels: int, axes: int, meaning: dict[str, str]) -> dict[str, Any]:
    """A tensor of any size and intensities."""
    return {
        "type": "image",
        "format": "magnitude",
        "num_channels": channels,
        "spatial_shape": ["*"] * axes,
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
        "channel_def": meaning,
    }


def _neighbours(channels: int) -> dict[str, str]:
    sides = ("before", "after")
    return {str(place): f"{(place + 1) // 2} {sides[1 - place % 2]}" for place in range(1, channels)}


def _inference(axis: int | None) -> dict[str, Any]:
    """What `python -m monai.bundle run` reads."""
    return {
        "imports": ["$import glob", "$import numpy", "$import torch"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/scans'",
        "output_dir": "$@bundle_root + '/denoised'",
        "slice_axis": axis,
        "device": "$torch.device('cpu')",
        "datalist": "$[{'image': path} for path in sorted(glob.glob(@dataset_dir + '/*.nii*'))]",
        "network_def": {
            "_target_": "scripts.onnx_denoiser.OnnxDenoiser",
            "path": f"$@bundle_root + '/{MODEL}'",
            "axis": "@slice_axis",
        },
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "EnsureTyped", "keys": "image", "dtype": "$torch.float32"},
            ],
        },
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {
                    "_target_": "SaveImaged",
                    "keys": "pred",
                    "output_dir": "@output_dir",
                    "output_postfix": "denoised",
                    "output_dtype": "$numpy.float32",
                    "resample": False,
                    "separate_folder": False,
                }
            ],
        },
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network_def",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
        },
        "run": ["$@evaluator.run()"],
    }


def _licence() -> str:
    try:
        text = distribution("diffdenoise").read_text("licenses/LICENSE")
    except PackageNotFoundError:
        text = None
    if text is None:
        raise PackageError("the package's licence is missing; install diffdenoise again")
    return text
