"""What kind of picture a data set holds: an image to denoise, or one of those that are passed over, and why.

Phase, real and imaginary parts have a noise of their own kind, and their values wrap round or change sign;
maps (diffusion, relaxation, perfusion, statistics), projections and screen saves are computed from images,
and hold their noise no more.
"""

from __future__ import annotations

import re
from typing import Any

from diffdenoise.scan.dicom.parse import first_of, number_of, numbers_of, value_of, words_of

#: SOP classes of pixel data that are not an acquired image (PS3.4, B.5).
_NOT_ACQUIRED = {
    "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.66.5": "segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "segmentation",
    "1.2.840.10008.5.1.4.1.1.481.2": "dose",
    "1.2.840.10008.5.1.4.1.1.30": "parametric map",
}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
#: Modalities (PS3.3, C.7.3.1.1.1) of what is no image.
_NO_IMAGE = {
    "SEG": "segmentation",
    "RTDOSE": "dose",
    "SR": "report",
    "DOC": "document",
    "PR": "presentation state",
    "REG": "registration",
    "ECG": "curve",
    "HD": "curve",
}
#: Modalities whose files hold pixels, for telling a damaged image from a report.
_IMAGE_MODALITIES = {"CT", "MR", "CR", "DX", "PT", "XA", "RF", "NM", "MG", "SC"}
#: Modalities of projection X-rays, which are often exported as secondary captures.
_X_RAYS = {"CR", "DX", "MG", "XA", "RF", "IO", "PX", "RG"}
_MR_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.4.3",
    "1.2.840.10008.5.1.4.1.1.4.4",
}
#: ComplexImageComponent (PS3.3, C.8.13.3.1.2), and what vendors write in ImageType.
_PARTS = {
    "PHASE": "phase image",
    "P": "phase image",
    "PHASE_MAP": "phase image",
    "PHASE_IMAGE": "phase image",
    "P_FFE": "phase image",
    "P_SE": "phase image",
    "P_IR": "phase image",
    "P_PCA": "phase image",
    "REAL": "real part",
    "R": "real part",
    "R_FFE": "real part",
    "R_SE": "real part",
    "R_IR": "real part",
    "IMAGINARY": "imaginary part",
    "I": "imaginary part",
    "I_FFE": "imaginary part",
    "I_SE": "imaginary part",
    "I_IR": "imaginary part",
    "VELOCITY": "velocity map",
    "VELOCITY_MAP": "velocity map",
    "V": "velocity map",
}
#: GE's RawDataType_ImageType (0043,102F), below its private creator: 0 is the magnitude.
_GE_PART, _GE_CREATOR = (0x0043, 0x102F), (0x0043, 0x0010)
_GE_PARTS = {1: "phase image", 2: "real part", 3: "imaginary part"}
#: Values of ImageType, with _ for spaces and hyphens.
_WORDS = {
    **dict.fromkeys(("LOCALIZER", "SCOUT", "TOPOGRAM"), "localiser"),
    **dict.fromkeys(
        ("SCREEN_SAVE", "SCREENSAVE", "SCREENSHOT", "SCREEN_SHOT", "SCREEN_CAPTURE"), "screen save"
    ),
    **dict.fromkeys(("DOSE_INFO", "DOSE_REPORT", "PATIENT_PROTOCOL"), "report"),
    **dict.fromkeys(
        ("ADC", "EADC", "EXP", "FA", "COLFA", "TENSOR", "DIFFUSION_ANISO", "KURTOSIS"), "diffusion map"
    ),
    **dict.fromkeys(
        (
            *("TTP", "MTT", "CBF", "CBV", "TMAX", "PBP", "GBP", "PEI", "MSI", "RBF", "RBV"),
            *("RCBF", "RCBV", "RELCBF", "RELCBV", "RELMTT", "RELCCBV", "KTRANS", "KEP", "IAUGC", "IAUC"),
        ),
        "perfusion map",
    ),
    **dict.fromkeys(
        (
            "T_TEST",
            "TTEST",
            "T_STATISTIC",
            "TSTAT",
            "Z_SCORE",
            "ZSCORE",
            "F_TEST",
            "STD_DEVIATION",
            "GLM",
            "BETA",
        ),
        "statistics map",
    ),
    **dict.fromkeys(("MAX_IP", "MIN_IP", "MIP", "MINIP", "MNIP", "PROJECTION_IMAGE"), "projection"),
    **dict.fromkeys(("VOLUME_RENDER", "SURFACE_RENDER", "VRT", "SSD"), "rendering"),
    **dict.fromkeys(("QSM", "TEMPERATURE", "STIFFNESS", "ELASTOGRAM", "METABOLITE"), "computed map"),
}
#: T1 MAP, T2_STAR MAP, B0 MAP, T-MAP and the like.
_MAP = "MAP"
#: How a secondary capture came about (ConversionType): no image of its own; perhaps one.
_NO_CAPTURE, _WORKSTATION, _CROSS_SECTIONS = {"SD", "DRW", "SYN"}, {"WSD", "DV"}, {"CT", "MR", "PT"}


def why_not(dataset: Any, *, alone: bool = False) -> str | None:
    """Say why a data set is no image to denoise ("colour image"); None if it is one.

    Parameters
    ----------
    dataset : pydicom.Dataset
        With or without pixels.
    alone : bool
        Whether it was named by itself: then what may be an image after all is taken for one.
    """
    sop_class = str(value_of(dataset, "SOPClassUID", ""))
    modality = (words_of(dataset, "Modality") or ("",))[0]
    rows, columns = (number_of(dataset, keyword) for keyword in ("Rows", "Columns"))
    if rows is None or columns is None:
        return "image without Rows or Columns" if modality in _IMAGE_MODALITIES else "not an image"
    if sop_class in _NOT_ACQUIRED or modality in _NO_IMAGE:
        return _NOT_ACQUIRED.get(sop_class) or _NO_IMAGE[modality]
    if value_of(dataset, "BitsAllocated") == 1:
        return "mask"
    photometric = words_of(dataset, "PhotometricInterpretation")
    if number_of(dataset, "SamplesPerPixel") not in (1.0, None) or (
        photometric and not photometric[0].startswith("MONOCHROME")
    ):
        return "colour image"
    if "COLOR" in words_of(dataset, "PixelPresentation"):
        # Grey values that stand for colours (PS3.3, C.8.16.2.1.1.1).
        return "colour image"
    return (
        _by_technique(dataset) or why_not_kind(dataset, is_mr(dataset)) or _captured(dataset, modality, alone)
    )


def is_mr(dataset: Any) -> bool:
    """Whether a data set is of magnetic resonance, where ImageType tells parts of complex values."""
    return "MR" in words_of(dataset, "Modality") or str(value_of(dataset, "SOPClassUID", "")) in _MR_CLASSES


def why_not_kind(dataset: Any, mr: bool, keyword: str = "ImageType") -> str | None:
    """Say why the type of an image, or with "FrameType" of a frame, isn't one to denoise; None if it is.

    Parameters
    ----------
    dataset : pydicom.Dataset
        A data set, or an item of the frame type sequence.
    mr : bool
        Whether it is of magnetic resonance.
    keyword : str
        Of its type.
    """
    words = [re.sub(r"[\s-]+", "_", word) for word in words_of(dataset, keyword)]
    if mr:
        component = words_of(dataset, "ComplexImageComponent")
        for word in (*component, *words):
            if word in _PARTS:
                return _PARTS[word]
        part = _ge_part(dataset)
        if part is not None:
            return part
    for word in words:
        if word in _WORDS:
            return _WORDS[word]
        if word.endswith(_MAP):
            return "computed map"
    return None


def _ge_part(dataset: Any) -> str | None:
    creator, stated = (dataset.get(tag) for tag in (_GE_CREATOR, _GE_PART))
    value = getattr(stated, "value", None)
    if "GEMS_PARM_01" not in str(getattr(creator, "value", "")).upper():
        return None
    if isinstance(value, bytes):
        # In an implicit file the VR isn't known: a signed short.
        value = int.from_bytes(value[:2], "little")
    first = value if isinstance(value, int) else next(iter(value or ()), 0)
    return _GE_PARTS.get(first) if isinstance(first, int) else None


def _by_technique(dataset: Any) -> str | None:
    """Say so if an image was projected or rendered from a volume (VolumeBasedCalculationTechnique)."""
    technique = words_of(dataset, "VolumeBasedCalculationTechnique")
    return next((_WORDS[word] for word in technique if word in _WORDS), None)


def _captured(dataset: Any, modality: str, alone: bool) -> str | None:
    """Say so if a secondary capture is of a screen or a sheet, or may be, among other images.

    X-rays on film, and volumes that programs export with their places, are images all the same.
    """
    if not str(value_of(dataset, "SOPClassUID", "")).startswith(_SECONDARY_CAPTURE):
        return None
    conversion = (words_of(dataset, "ConversionType") or ("",))[0]
    placed = numbers_of(dataset, "ImagePositionPatient", 3) is not None
    if placed or (modality in _X_RAYS and conversion not in _NO_CAPTURE):
        return None
    of_screen = conversion in _NO_CAPTURE or (conversion in _WORKSTATION and modality in _CROSS_SECTIONS)
    return "secondary capture" if of_screen or not alone else None


def parts_of_frames(dataset: Any, shared: Any, groups: Any, count: int) -> list[str | None]:
    """Say of each frame of an enhanced file why it isn't one to denoise; None for those that are.

    Parameters
    ----------
    dataset, shared, groups
        The file, and its functional groups; None where it has none.
    count : int
        Of frames.
    """
    if groups is None:
        return [None] * count
    mr = is_mr(dataset)
    sequence = "MRImageFrameTypeSequence" if mr else "CTImageFrameTypeSequence"
    common = first_of(shared, sequence)
    found = []
    for group in groups:
        item = first_of(group, sequence)
        item = common if item is None else item
        found.append(None if item is None else why_not_kind(item, mr, "FrameType"))
    return found
