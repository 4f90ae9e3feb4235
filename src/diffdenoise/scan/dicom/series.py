"""From files to series: which frames belong together, and what is passed over and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from diffdenoise.errors import FormatError, InputError
from diffdenoise.scan.dicom.frames import Frame, Header, HeaderError, NoImageError, header_of
from diffdenoise.scan.dicom.geometry import Layout, lay_out
from diffdenoise.scan.dicom.kinds import why_not
from diffdenoise.scan.dicom.lacking import folder_of, state_what_is_missing
from diffdenoise.scan.dicom.parse import parse, quiet_pydicom
from diffdenoise.scan.dicom.sources import Source, sources_of
from diffdenoise.scan.dicom.stacks import are_neighbours, stacks_of

#: Intercepts up to this keep 16-bit values in 32 bits.
_MOST_INTERCEPT = 2**30


@dataclass(frozen=True)
class Series:
    """Files that make one image, volume or time series.

    Attributes
    ----------
    sources : tuple of Source
        Its files; `Frame.file` counts them.
    header : Header
        Of the first file.
    layout : Layout
        Its frames in order.
    part : (number, count) or None
        Where files hold several volumes: which of them this is, from 1, and how many there are.
    """

    sources: tuple[Source, ...]
    header: Header
    layout: Layout
    part: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the scan: (rows, columns), or (columns, rows, slices[, volumes])."""
        header, frames = self.header, self.layout.frames
        if len(frames) > 1:
            return (header.columns, header.rows, len(frames[0]), len(frames))
        if len(frames[0]) > 1:
            return (header.columns, header.rows, len(frames[0]))
        return (header.rows, header.columns)

    @property
    def is_flat(self) -> bool:
        """Whether it is a single image: an X-ray, say."""
        return len(self.shape) == 2

    @property
    def lacks(self) -> str | None:
        """The element that no derived image can do without and that can't be made up, if it lacks it."""
        return None if self.header.sop_class else "SOPClassUID"

    @cached_property
    def holds_whole(self) -> bool:
        """Whether its real values are whole numbers: no slope but 1, and whole intercepts."""
        frames = (frame for volume in self.layout.frames for frame in volume)
        return all(
            frame.slope == 1 and frame.intercept.is_integer() and abs(frame.intercept) < _MOST_INTERCEPT
            for frame in frames
        )

    @property
    def identity(self) -> str:
        """What tells it from all other series of a run: its UID, or what it is grouped by without one."""
        names = "\0".join(source.name for source in self.sources)
        return self.header.series_uid or f"{self.header.study_uid}\0{self.header.told}\0{names}"

    @property
    def title(self) -> str:
        """What it is, in words that tell nothing of the patient: "series 3 (MR, 24 slices of 384x274)"."""
        number = f"series {self.header.series_number}" if self.header.series_number is not None else "series"
        size = f"{self.header.columns}x{self.header.rows}"
        frames = self.layout.frames
        if len(frames) > 1:
            what = f"{len(frames)} volumes of {len(frames[0])} slices of {size}"
            if len(frames[0]) == 1:
                what = f"{len(frames)} frames of {size}"
        elif len(frames[0]) > 1:
            several = len(self.sources) > 1 or self.header.tiles > 1 or self.layout.in_plane is not None
            what = f"{len(frames[0])} {'slices' if several else 'frames'} of {size}"
        else:
            what = f"one image of {size}"
        return f"{number} ({self.header.modality or 'unknown modality'}, {what})"


@dataclass(frozen=True)
class Study:
    """Everything that was found at one place.

    Attributes
    ----------
    series : tuple of Series
        In the order of their numbers.
    skipped : dict of str to int
        Reasons, and how many files were passed over for each.
    """

    series: tuple[Series, ...]
    skipped: dict[str, int]


def find_series(places: Sequence[Path | Source]) -> Study:
    """Find all series in files, folders, DICOMDIRs and zips.

    Parameters
    ----------
    places : sequence of path or Source
        Paths of things that exist, in which files that are not DICOM are passed over without a word; or DICOM
        files that a folder was found to hold.

    Raises
    ------
    FormatError
        If a zip or DICOMDIR can't be trusted, or a file that was named by itself is no image or damaged.
    InputError
        If the system refuses to open something.
    """
    skipped: Counter[str] = Counter()
    found: list[tuple[Source, Header]] = []
    for place in places:
        path = place.path if isinstance(place, Source) else place
        try:
            for source in [place] if isinstance(place, Source) else sources_of(place):
                # Named by itself, rather than found somewhere.
                header = _header(source, skipped, alone=source.path == place and source.member is None)
                if header is not None:
                    found.append((source, header))
        except OSError as error:
            raise InputError(
                f"{path}: cannot be read ({error.strerror}); check its permissions and the disk"
            ) from None
    return Study(tuple(_series_of(found, skipped)), dict(skipped))


def _series_of(found: Iterable[tuple[Source, Header]], skipped: Counter[str]) -> list[Series]:
    """Group files by series, copies left out; in the order of the series' numbers."""
    groups: dict[tuple[object, ...], list[tuple[Source, Header]]] = {}
    seen: set[tuple[object, ...]] = set()
    for source, header in found:
        # Badly anonymised files share a UID though they lie elsewhere.
        identity = (header.sop_uid, header.series_uid, header.study_uid, header.frames)
        if header.sop_uid and identity in seen:
            skipped["copy of another file"] += 1
            continue
        seen.add(identity)
        groups.setdefault(_key(header, source), []).append((source, header))
    made = [one for files in groups.values() for one in _volumes(files)]
    return sorted(
        made,
        key=lambda one: (
            one.header.series_number or 0,
            one.header.series_uid,
            one.sources[0].name,
            one.part or (0, 0),
        ),
    )


def _header(source: Source, skipped: Counter[str], alone: bool) -> Header | None:
    """Header of an image; None, with the reason counted, for anything else; an error if alone."""
    try:
        with source.open() as stream, quiet_pydicom():
            dataset = parse(stream, source.name)
            state_what_is_missing(dataset)
            reason = why_not(dataset, alone=alone)
            if reason is None:
                header = header_of(dataset, source.name, source.size())
                for each in header.left_out:
                    skipped[f"frame: {each}"] += 1
                return header
    except NoImageError as none:
        reason = str(none)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # damaged elements are decoded when asked for; damaged zips when read
        if alone:
            if isinstance(error, FormatError):
                raise
            why = f" ({error})" if isinstance(error, HeaderError) else ""
            raise FormatError(f"{source.name}: is a damaged DICOM file{why}; get a complete copy") from None
        reason = "damaged"
    if alone:
        raise FormatError(
            f"{source.name}: is DICOM, but not an image to denoise ({reason}); give a greyscale image"
        )
    skipped[reason] += 1
    return None


def _key(header: Header, source: Source) -> tuple[object, ...]:
    """What files of one series' volumes share; images without a place are one each."""
    placed = all(frame.position is not None and frame.orientation is not None for frame in header.frames)
    if not placed:
        return (source.path, source.member)
    return (
        header.study_uid,
        # Without a UID: by what else is said of the series, in one folder.
        header.series_uid or ("no UID", header.told, source.path.parent, folder_of(source.name)),
        header.sop_class,
        header.rows,
        header.columns,
        header.tiles,
        header.bits[1:],
        header.kind,
        # A cine repeats one header, and says nothing of its frames' own places.
        None if not header.many or header.is_enhanced else (source.path, source.member),
    )


def _volumes(files: list[tuple[Source, Header]]) -> Iterator[Series]:
    """Yield the volumes, or series of volumes, that files of one key make."""
    sources = tuple(source for source, _ in files)
    first = files[0][1]
    frames = list(_numbered(files))
    if frames[0].orientation is None or any(frame.position is None for frame in frames):
        yield Series(sources, first, lay_out(frames, first))
        return
    stacks = stacks_of(frames)
    cut = len({(frame.file, number) for number, stack in enumerate(stacks) for frame in stack}) > len(files)
    if cut and not are_neighbours(stacks):
        # Enhanced files of a fan of slices stay whole: their slices are denoised one by one.
        order = tuple((frame,) for frame in sorted(frames, key=lambda frame: (frame.file, frame.number)))
        notice = "holds slices of several orientations or stacks: read one by one"
        yield Series(sources, first, Layout(order, None, None, (notice,)))
        return
    for number, stack in enumerate(stacks, 1):
        used = sorted({frame.file for frame in stack})
        place = {file: index for index, file in enumerate(used)}
        own = [replace(frame, file=place[frame.file]) for frame in stack]
        header = files[used[0]][1]
        yield Series(
            tuple(sources[file] for file in used),
            header,
            lay_out(own, header),
            (number, len(stacks)) if cut else None,
        )


def _numbered(files: list[tuple[Source, Header]]) -> Iterator[Frame]:
    for number, (_, header) in enumerate(files):
        for frame in header.frames:
            yield replace(frame, file=number)
