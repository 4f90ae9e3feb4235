"""Turn a source's data set into that of a derived image: what changes, and nothing else.

Patient, study, frame of reference and geometry stay (PS3.3, C.7.6.1.1.2 to C.7.6.1.1.4 and C.12.1).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from diffdenoise._version import __version__
from diffdenoise.errors import SettingsError
from diffdenoise.scan.dicom.parse import number_of, value_of, words_of

#: What is done to images here, if nothing else is said.
NOISE_REDUCTION = "Noise reduction"
#: What is said of a copy whose pixels are those of the source, as there was nothing to take off.
UNCHANGED, _WHY_UNCHANGED = "Left unchanged", "too little noise to touch"
#: Longest SeriesDescription (VR LO, PS3.5, 6.2), and what is put at its end.
_LO_LENGTH, _SUFFIXES, _SUFFIX_OTHER = 64, {NOISE_REDUCTION: " denoised", UNCHANGED: " unchanged"}, " derived"
#: Added to SeriesNumber, so that a derived series is listed after those of the scanner.
_SERIES_NUMBER_STEP = 1000
#: Bytes of a digest in a new UID (20 digits), and the longest root that leaves room for them in 64 signs.
_UID_BYTES, _LONGEST_ROOT = 8, 43
#: What is true of the source's pixels or files alone: thumbnails, signatures, concatenations.
_STALE = (
    "IconImageSequence",
    "DigitalSignaturesSequence",
    "MACParametersSequence",
    "EncryptedAttributesSequence",
    "PixelDataProviderURL",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "ConcatenationUID",
    "SOPInstanceUIDOfConcatenationSource",
    "InConcatenationNumber",
    "InConcatenationTotalNumber",
    "ConcatenationFrameOffsetNumber",
)
#: Elements of the MR Pulse Sequence module (PS3.3, C.8.13.4) that an enhanced MR image may hold only while it
#: is an original. They stay in the source, which is referenced.
_ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
_OF_ORIGINALS = (
    "PulseSequenceName",
    "MRAcquisitionType",
    "EchoPulseSequence",
    "MultipleSpinEcho",
    "MultiPlanarExcitation",
    "PhaseContrast",
    "VelocityEncodingAcquisitionSequence",
    "TimeOfFlightContrast",
    "ArterialSpinLabelingContrast",
    "SteadyStatePulseSequence",
    "EchoPlanarPulseSequence",
    "SaturationRecovery",
    "SpectrallySelectedSuppression",
    "OversamplingPhase",
    "GeometryOfKSpaceTraversal",
    "RectilinearPhaseEncodeReordering",
    "SegmentedKSpaceTraversal",
    "CoverageOfKSpace",
    "NumberOfKSpaceTrajectories",
)
#: The same of the Bulk Motion and Cardiac Synchronization modules (PS3.3, C.7.6.18), of every enhanced image.
_OF_ORIGINALS_ALL = (
    "BulkMotionCompensationTechnique",
    "BulkMotionSignalSource",
    "CardiacRRIntervalSpecified",
    "IntervalsAcquired",
    "IntervalsRejected",
)
#: Transfer syntaxes that lose something (PS3.5, annex A).
_LOSSY_METHODS = {
    "1.2.840.10008.1.2.4.50": "ISO_10918_1",
    "1.2.840.10008.1.2.4.51": "ISO_10918_1",
    "1.2.840.10008.1.2.4.81": "ISO_14495_1",
    "1.2.840.10008.1.2.4.91": "ISO_15444_1",
    "1.2.840.10008.1.2.4.203": "ISO_15444_15",
}


@dataclass(frozen=True)
class Derivation:
    """How derived objects are named and described.

    Attributes
    ----------
    action : str
        What was done to the images.
    fingerprint : str
        Of settings and model: part of the new UIDs.
    method : str
        For DerivationDescription: which noise, which budget.
    uid_root : str or None
        Root of the new UIDs, which then depend on the source's, on the fingerprint and on an image's new
        pixels alone. None: random ones below 2.25 (PS3.5, B.2).
    private : {"keep", "drop"}
        What becomes of private elements.
    compression : {"none", "jpeg-ls", "jpeg-2000"}
        Of the result, always lossless.
    run : str
        A random name of this run.
    now : datetime
        When the instances are made.
    """

    action: str = NOISE_REDUCTION
    fingerprint: str = ""
    method: str = ""
    uid_root: str | None = None
    private: Literal["keep", "drop"] = "keep"
    compression: Literal["none", "jpeg-ls", "jpeg-2000"] = "none"
    run: str = field(default_factory=lambda: secrets.token_hex(16), compare=False)
    now: datetime = field(default_factory=datetime.now, compare=False)

    def unchanged(self) -> Derivation:
        """Return the same for a copy whose pixels are those of the source."""
        return replace(self, action=UNCHANGED, method=_WHY_UNCHANGED)

    def uid(self, source: str, content: bytes = b"") -> str:
        """Return the new UID for a source's: the same for the same source and content within one run."""
        if self.uid_root is not None:
            told = f"{source}\0{self.action}\0{self.fingerprint}\0{self.private}\0{__version__}\0"
            digest = hashlib.sha256(told.encode() + content).digest()
            return f"{self.uid_root}.{int.from_bytes(digest[:_UID_BYTES], 'big')}"
        digest = hashlib.sha256(f"{source}\0{self.run}\0".encode() + content).digest()[:16]
        # A UUID of version 8 (RFC 9562, 5.8), as the integer that 2.25 takes.
        value = int.from_bytes(digest, "big")
        value = value & ~(0xF << 76) | 0x8 << 76
        value = value & ~(0x3 << 62) | 0x2 << 62
        return f"2.25.{value}"


def checked_uid_root(root: str) -> str:
    """Return a root for UIDs (PS3.5, 9.1), without a dot at its end.

    Raises
    ------
    SettingsError
        If it is none, or leaves too little room for what follows.
    """
    found = root.rstrip(".")
    if len(found) > _LONGEST_ROOT or not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+", found):
        raise SettingsError(
            f"uid root {root!r}: is not one; expected numbers with dots between, such as 1.2.826.0.1, of up "
            f"to {_LONGEST_ROOT} characters"
        )
    return found


def derive(
    dataset: Any,
    how: Derivation,
    content: bytes,
    frames: Sequence[int] = (),
    told: tuple[str, str] = ("", ""),
) -> None:
    """Change a data set into that of the derived image, in place; its pixels are for `write` to replace.

    Parameters
    ----------
    dataset : pydicom.FileDataset
        The source, with its meta header.
    how : Derivation
        Names and description.
    content : bytes
        Digest of the new pixels: images that differ never get the same SOPInstanceUID.
    frames : sequence of int
        Numbers, from 1, of the source's frames that it is made of; none where it is made of all.
    told : (series, image)
        What stands for the UIDs of series and image where the source has none.
    """
    source = _reference(dataset, frames)
    source_uid = str(value_of(dataset, "SOPInstanceUID", ""))
    _drop_stale(dataset, how)
    dataset.SOPInstanceUID = how.uid(source_uid or told[1], content)
    dataset.SeriesInstanceUID = how.uid(str(value_of(dataset, "SeriesInstanceUID", told[0])))
    dataset.InstanceCreationDate = f"{how.now:%Y%m%d}"
    dataset.InstanceCreationTime = f"{how.now:%H%M%S}"
    _describe(dataset, how)
    if source_uid:
        dataset.SourceImageSequence = [source]
    _add_equipment(dataset, how)
    syntax = str(getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", ""))
    if syntax in _LOSSY_METHODS:
        # What was lost stays lost (PS3.3, C.7.6.1.1.5); most files say so already.
        dataset.LossyImageCompression = "01"
        if "LossyImageCompressionMethod" not in dataset:
            dataset.LossyImageCompressionMethod = _LOSSY_METHODS[syntax]


def _drop_stale(dataset: Any, how: Derivation) -> None:
    """Delete what is true of the source alone, and private elements if they are to go."""
    if how.private == "drop":
        _drop_private(dataset)
    gone = list(_STALE)
    if how.action != UNCHANGED and "SharedFunctionalGroupsSequence" in dataset:
        enhanced_mr = str(value_of(dataset, "SOPClassUID", "")) == _ENHANCED_MR
        gone += [*_OF_ORIGINALS_ALL, *(_OF_ORIGINALS if enhanced_mr else ())]
    for keyword in gone:
        if keyword in dataset:
            delattr(dataset, keyword)


def _describe(dataset: Any, how: Derivation) -> None:
    """Say in number, names and codes what was done."""
    number = number_of(dataset, "SeriesNumber")
    if number is not None:
        dataset.SeriesNumber = int(number) + _SERIES_NUMBER_STEP
    described = str(value_of(dataset, "SeriesDescription", "")).strip()
    suffix = _SUFFIXES.get(how.action, _SUFFIX_OTHER)
    dataset.SeriesDescription = (described[: _LO_LENGTH - len(suffix)] + suffix).strip()
    if how.action != UNCHANGED:
        # Derived is what has pixel values other than its source's (PS3.3, C.7.6.1.1.2).
        _mark_type(dataset)
    done = f"{how.action} by DiffDenoise {__version__}{how.method and ': ' + how.method}"
    # VR ST holds 1024 characters.
    before = str(value_of(dataset, "DerivationDescription", ""))[: 1000 - len(done)]
    dataset.DerivationDescription = f"{before}; {done}" if before else done
    if how.action == NOISE_REDUCTION:
        codes = value_of(dataset, "DerivationCodeSequence", [])
        dataset.DerivationCodeSequence = [*codes, _code("noise-reduction", "99DIFFDENOISE", NOISE_REDUCTION)]


def _reference(dataset: Any, frames: Sequence[int]) -> Any:
    """Item of the Source Image Sequence (PS3.3, table 10-3) that names an image, or some of its frames."""
    from pydicom.dataset import Dataset

    reference = Dataset()
    reference.ReferencedSOPClassUID = str(value_of(dataset, "SOPClassUID", ""))
    reference.ReferencedSOPInstanceUID = str(value_of(dataset, "SOPInstanceUID", ""))
    if frames:
        reference.ReferencedFrameNumber = list(frames)
    reference.PurposeOfReferenceCodeSequence = [
        _code("121322", "DCM", "Source image for image processing operation")
    ]
    return reference


def _add_equipment(dataset: Any, how: Derivation) -> None:
    """Name this program beside the scanner (Contributing Equipment Sequence, PS3.3, C.12.1)."""
    from pydicom.dataset import Dataset

    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [_code("109102", "DCM", "Processing Equipment")]
    equipment.Manufacturer = "DiffDenoise"
    equipment.ManufacturerModelName = "DiffDenoise"
    equipment.SoftwareVersions = __version__
    equipment.ContributionDateTime = f"{how.now:%Y%m%d%H%M%S}"
    equipment.ContributionDescription = how.action
    earlier = value_of(dataset, "ContributingEquipmentSequence", [])
    dataset.ContributingEquipmentSequence = [*earlier, equipment]


def _drop_private(dataset: Any) -> None:
    """Delete private elements at every depth, without decoding the others: damaged ones would fail."""
    for tag in [tag for tag in dataset.keys() if tag.is_private]:  # noqa: SIM118 (iteration decodes)
        del dataset[tag]
    for tag in dataset.keys():  # noqa: SIM118
        if dataset.get_item(tag).VR in ("SQ", None) and dataset[tag].VR == "SQ":
            for item in dataset[tag].value:
                _drop_private(item)


def _mark_type(dataset: Any) -> None:
    """Say DERIVED in ImageType, and in the frame types of enhanced files (PS3.3, C.7.6.1.1.2, C.8.16.1)."""
    enhanced = "SharedFunctionalGroupsSequence" in dataset
    dataset.ImageType = _derived(words_of(dataset, "ImageType"), enhanced)
    groups = [
        *value_of(dataset, "SharedFunctionalGroupsSequence", []),
        *value_of(dataset, "PerFrameFunctionalGroupsSequence", []),
    ]
    for group in groups:
        for keyword in (
            "MRImageFrameTypeSequence",
            "CTImageFrameTypeSequence",
            "PETFrameTypeSequence",
            "XRay3DFrameTypeSequence",
            "XAXRFFrameCharacteristicsSequence",
        ):
            for item in value_of(group, keyword, []):
                if "FrameType" in item:
                    item.FrameType = _derived(words_of(item, "FrameType"), enhanced)


def _derived(words: tuple[str, ...], enhanced: bool) -> list[str]:
    rest = list(words[2:])
    if enhanced and len(rest) == 2 and rest[1] == "NONE":
        # The fourth value says how a derived enhanced image was made; that of an original is NONE.
        rest[1] = "FILTERED"
    return ["DERIVED", *(words[1:2] or ["PRIMARY"]), *rest]


def _code(value: str, scheme: str, meaning: str) -> Any:
    from pydicom.dataset import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
