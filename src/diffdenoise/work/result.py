"""A denoised scan with what was done to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from diffdenoise.noise.statement import Noise
from diffdenoise.scan.convert import to_nifti
from diffdenoise.scan.dicom.derive import Derivation
from diffdenoise.scan.dicom.series import Series
from diffdenoise.scan.formats.nifti import FORMAT as NIFTI
from diffdenoise.scan.formats.nifti import to_nibabel
from diffdenoise.scan.pixels import to_stored
from diffdenoise.scan.registry import suffix_of
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.write import write_scan
from diffdenoise.trust.slab import Redenoise
from diffdenoise.types import Affine, Array
from diffdenoise.work.maps import noise_map_of, residual_of

if TYPE_CHECKING:
    from diffdenoise.work.evidence import TrustReport

#: What a derived DICOM series says of how it was made.
METHOD = "network trained on noisy images alone"
METHOD_AT_ONCE = "network trained on synthetic images and public scans"


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A denoised scan, and what was done to it. NumPy takes it for the array of its values.

    Attributes
    ----------
    scan : Scan
        The denoised scan: real values (float64), and the source's geometry and header.
    noisy : Scan
        The scan that it was made from.
    noise : Noise
        What is known of that scan's noise.
    record : dict
        What was done, for JSON. `noise_std` (None: unknown), `residual_std` and `noise_std_by_brightness`
        are in the scan's units, as is a `contradiction`: a level that was told, and what the scan shows;
        `noise` is the noise model in shares of the range; `already_clean` says
        whether the scan was left as it was; `training` is the model's own record (steps, seconds and losses
        of each stage, versions, device).
    again : callable or None
        Denoises slices of the scan once more, in the same way; None: it was left as it was.
    """

    scan: Scan
    noisy: Scan
    noise: Noise
    record: dict[str, Any]
    again: Redenoise | None = None

    @property
    def data(self) -> Array:
        """Denoised values in the scan's own units, axes as in the file."""
        return self.scan.data

    @property
    def residual(self) -> NDArray[np.float64]:
        """What was taken off: noisy minus denoised values."""
        return np.asarray(residual_of(self.noisy, self.scan).whole(), dtype=np.float64)

    @property
    def noise_map(self) -> NDArray[np.float64]:
        """The noise's standard deviation at each voxel, in the scan's units; 0 where there is no data."""
        return np.asarray(noise_map_of(self.noisy, self.scan, self.noise).whole(), dtype=np.float64)

    @property
    def affine(self) -> Affine | None:
        """Voxel indices to millimetres (right, front, up); None where the source has none."""
        return self.scan.affine

    @property
    def spacing_mm(self) -> tuple[float, ...] | None:
        """Voxel size along each axis in space, millimetres; None where the source has none."""
        return self.scan.spacing_mm

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return self.scan.shape

    @property
    def name(self) -> str:
        """The source's file name, relative to the folder that was given."""
        return self.scan.name

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing was taken off: it was clean, its noise could not be told, or that was asked for."""
        return bool(self.record.get("already_clean")) or self.record.get("strength") == 0

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        values = np.asarray(self.scan.data, dtype=dtype)
        return values.copy() if copy and values is self.scan.data else values

    def __repr__(self) -> str:
        if self.record.get("already_clean"):
            said = "already clean, left as it was"
        else:
            noise, residual = self.record.get("noise_std"), self.record.get("residual_std")
            said = f"noise std {'unknown' if noise is None else f'{noise:.4g}'}, residual std {residual:.4g}"
        return f"Result({self.name!r}, {' x '.join(map(str, self.shape))}, {said})"

    def to_nibabel(self) -> Any:
        """Return it as a nibabel image, of the source's type, header and geometry.

        Raises
        ------
        ShapeError
            If it is from DICOM and its slices aren't evenly spaced, which NIfTI can't hold.
        """
        return to_nibabel(self._as_nifti())

    def save(self, path: str | Path, *, overwrite: bool = False, float32: bool = False) -> Path:
        """Write it, whole or not at all, as the command line would.

        Parameters
        ----------
        path : str or path
            In the source's format; a result from DICOM also as NIfTI, by the suffix (.nii, .nii.gz), and else
            as a derived series (a folder for a series of several files); one from memory in any format but
            DICOM.
        overwrite : bool
            Replace a file that is there.
        float32 : bool
            Store float32 instead of the source's dtype.

        Returns
        -------
        path
            As given.

        Raises
        ------
        OutputError
            If it can't be written there; nothing is left behind.
        """
        path = Path(path)
        scan = self._as_nifti() if suffix_of(path) in NIFTI.suffixes else self.scan
        write_scan(scan, path, float32=float32, overwrite=overwrite, derivation=self._derivation())
        return path

    def save_picture(
        self, path: str | Path, *, axis: int | None = None, index: int | None = None, overwrite: bool = False
    ) -> Path:
        """Write a picture of one slice: noisy, denoised and residual.

        Parameters
        ----------
        path : str or path
            PNG file to write.
        axis, index : int, optional
            Array axis across the slice, and its number; None: that which most was taken off.
        overwrite : bool
            Replace a file that is there.

        Raises
        ------
        OutputError
            If it can't be written there.
        """
        from diffdenoise.trust.figure import save_comparison

        path = Path(path)
        axis = self.record.get("slice_axis") if axis is None else axis
        save_comparison(
            path,
            self.noisy,
            self.scan,
            axis=axis,
            index=index,
            noise_std=self.record.get("noise_std"),
            overwrite=overwrite,
        )
        return path

    def examine(self, *, roi: Array | None = None, seed: int = 0) -> TrustReport:
        """Look for what was lost or invented, without a clean image; see docs/trust.md.

        Parameters
        ----------
        roi : array of the scan's shape, optional
            Nonzero inside a region whose mean, and its error, are wanted.
        seed : int
            Of all draws.

        Returns
        -------
        TrustReport
            With `verdict`, `as_dict()` and `write(path)`.
        """
        from diffdenoise.work.evidence import Inquiry, examine_result

        region = None if roi is None else np.asarray(roi) != 0
        inquiry = Inquiry(self.noisy, self.scan, self.noise, self.again, self.record, region)
        return examine_result(inquiry, seed)

    def _as_nifti(self) -> Scan:
        """The scan as one that NIfTI can hold; from DICOM, of a type that holds the source's values."""
        if not isinstance(self.scan.header, Series):
            return self.scan
        like = to_nifti(self.noisy)
        data = self.scan.data.T if self.scan.ndim == 2 else self.scan.data
        return like.with_data(to_stored(data, like.stored_dtype))

    def _derivation(self) -> Derivation:
        """What is said of a derived DICOM series."""
        training = self.record.get("training")
        at_once = training is not None and training["fingerprint"] is None
        how = Derivation(method=METHOD_AT_ONCE if at_once else METHOD)
        return how.unchanged() if self.is_unchanged else how
