"""ELAN's annotation files (.eaf, EAF 3.0): one video, tiers of annotations, times in milliseconds.

Annotations of one tier must not overlap in ELAN, so segments that do are written to tiers beside each other, which are
of one linguistic type and are read as one. Of the files of others one tier is read, or those that `--tier` names; an
annotation that depends on another (of a tier below a tier) has the other's times. A time origin of the video, by which
ELAN shifts it against the annotations, is undone.
"""

import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from taltool.data.files import STANDARD, open_output, read_text, shown
from taltool.data.formats import FORMATS
from taltool.data.formats.annotation_tools import chosen, media_id, media_name
from taltool.data.formats.captions import Cue, Event, events_of, read_events, rounded, single
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.errors import DataError

_OWN_TYPE = "taltool-segments"
# Times of a file by the unit that its header names, in a second.
_UNITS = {"milliseconds": 1000.0, "PAL-frames": 25.0, "NTSC-frames": 30000 / 1001}
# The schema wants a date; one that changes would make equal contents different files.
_DATE = "1970-01-01T00:00:00Z"
# What XML cannot hold at all.
_NO_XML = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_WHOLE = re.compile(r"-?\d{1,15}", re.ASCII)
_STEREOTYPES = {
    "Time_Subdivision": "Time subdivision of parent annotation's time interval, no time gaps allowed within this "
    "interval",
    "Symbolic_Subdivision": "Symbolic subdivision of a parent annotation. Annotations refering to the same parent are "
    "ordered",
    "Symbolic_Association": "1-1 association with a parent annotation",
    "Included_In": "Time alignable annotations within the parent annotation's time interval, gaps are allowed",
}


@FORMATS.register("elan")
class Elan(Format):
    """An annotation for each segment, its value the label."""

    summary = (
        "ELAN annotations of one video, tiers whose annotations are segments and their values labels; times are "
        "milliseconds"
    )
    kinds = ("proposals", "annotations")
    heeds = frozenset({"tier", "tier_labels"})
    heeds_written = frozenset({"media", "show_scores"})
    tried_with = "pympi-ling 1.71"
    suffixes = (".eaf",)
    one_video = True
    resolution = 0.001

    def recognises(self, opening: Opening) -> bool:
        """The root element."""
        return b"<ANNOTATION_DOCUMENT" in opening.head[:4096]

    def read(self, path: str, options: FormatOptions) -> contextlib.AbstractContextManager[Proposals | Annotations]:
        """Read the annotations of one tier, or of those that are named."""
        try:
            root = ElementTree.fromstring(read_text(path))
        except ElementTree.ParseError as error:
            raise DataError(f"{path}:{error.position[0]}: not XML ({error.msg}); was it cut short?") from error
        if root.tag != "ANNOTATION_DOCUMENT":
            raise DataError(f"{path}: expected <ANNOTATION_DOCUMENT>, found <{root.tag}>: not an ELAN file")
        document = _Document(root, path)
        tiers = document.wanted(options)
        notes = document.further_media()
        name = Path(path).name.removesuffix(".gz").removesuffix(self.suffixes[0])
        if document.video_id not in (None, name) and path != STANDARD:
            notes.append(
                f"the name '{shown(name)}' of the file (its media file names the video: '{document.video_id}')"
            )
        events = document.events(tiers, options)
        return read_events(events, path, self.suffixes, options, notes, document.video_id)

    def write(self, content: Proposals | Annotations, path: str, options: FormatOptions) -> list[str]:
        """Lost: scores, unless they are shown, durations, subsets, provenance, times before 0."""
        video_id, content = single(content, path)
        events, lost = events_of(content, path, options, () if options.media else self.suffixes)
        cues, early = rounded(events, path)
        for cue in cues:
            if _NO_XML.search(cue.lines[0]):
                raise DataError(f"{path}: label {cue.lines[0][:80]!r} has characters that no XML file holds; rename it")
        media = None if options.media is None else media_name(video_id, options, path)
        root = _document_of(cues, media)
        ElementTree.indent(root)
        with open_output(path) as stream:
            stream.write(ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True) + b"\n")
        return lost + early


class _Document:
    """A parsed file: its tiers, and the times of its annotations.

    video_id: that of its first video, or of its first media file; None where it names none.
    """

    def __init__(self, root: ElementTree.Element, path: str) -> None:
        self._root, self._path = root, path
        header = root.find("HEADER")
        unit = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
        if unit not in _UNITS:
            raise DataError(f"{path}: times are in {unit!r}; this reads {', '.join(_UNITS)}: save it in ELAN anew")
        self._per_second = _UNITS[unit]
        self._slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
        annotations = root.findall("TIER/ANNOTATION/*")
        self._annotations = {each.get("ANNOTATION_ID", ""): each for each in annotations}
        self._tiers = {str(tier.get("TIER_ID")): tier for tier in root.iter("TIER")}
        self._media = [each for each in root.iter("MEDIA_DESCRIPTOR") if each.get("MEDIA_URL")]
        # Videos first; the sort keeps their order.
        self._media.sort(key=lambda each: not each.get("MIME_TYPE", "").startswith("video"))
        self.video_id = media_id(self._media[0].get("MEDIA_URL", ""), path) if self._media else None

    def further_media(self) -> list[str]:
        """What is left out of the media files, in words."""
        return [f"{len(self._media) - 1} further media files"] if len(self._media) > 1 else []

    def wanted(self, options: FormatOptions) -> list[str]:
        """The names of the tiers to read: those that the user chose, the only one that has annotations, or
        all, where they are our own or their names are labels."""
        counts = {name: len(tier.findall("ANNOTATION")) for name, tier in self._tiers.items()}
        there = {name: count for name, count in counts.items() if count}
        own = [name for name in there if self._tiers[name].get("LINGUISTIC_TYPE_REF") == _OWN_TYPE]
        if not options.tiers and (own == list(there) or options.tier_labels):
            return list(there)
        return chosen(there, options, self._path, "tier")

    def events(self, tiers: list[str], options: FormatOptions) -> Iterator[tuple[Event, str]]:
        """The annotations of the tiers, each with its place."""
        origin = self._origin()
        for tier in tiers:
            annotations = self._tiers[tier].findall("ANNOTATION/*")
            parents = Counter(each.get("ANNOTATION_REF") for each in annotations)
            for annotation in annotations:
                where = f"{self._path}: annotation {annotation.get('ANNOTATION_ID')} of tier '{tier}'"
                parent = annotation.get("ANNOTATION_REF")
                if parent is not None and parents[parent] > 1:
                    raise DataError(f"{where}: shares the time of annotation {parent} with others; choose another tier")
                timed = self._aligned(annotation, where)
                start, end = (self._seconds(timed.get(f"TIME_SLOT_REF{end}"), where) + origin for end in (1, 2))
                text = tier if options.tier_labels else (annotation.findtext("ANNOTATION_VALUE") or "").strip()
                if not text:
                    raise DataError(
                        f"{where}: no text; write the label there, or have the names of tiers as labels: --tier-labels"
                    )
                yield Event(start, end, text), where

    def _aligned(self, annotation: ElementTree.Element, where: str) -> ElementTree.Element:
        """The annotation whose times are those of `annotation`: itself, or one on which it depends."""
        for _ in range(len(self._annotations) + 1):
            if annotation.tag != "REF_ANNOTATION":
                return annotation
            if annotation.get("PREVIOUS_ANNOTATION"):
                break
            missing = ElementTree.Element("missing")
            annotation = self._annotations.get(annotation.get("ANNOTATION_REF", ""), missing)
        raise DataError(f"{where}: has no time of its own; choose another tier with --tier")

    def _origin(self) -> float:
        """The second of the video at which the annotations' time begins."""
        told = self._media[0].get("TIME_ORIGIN", "0") if self._media else "0"
        if not _WHOLE.fullmatch(told):
            raise DataError(f"{self._path}: TIME_ORIGIN {told!r} of a media file is not in milliseconds")
        return int(told) / 1000

    def _seconds(self, slot: str | None, where: str) -> float:
        value = self._slots.get(slot)
        if value is None or not _WHOLE.fullmatch(value):
            raise DataError(f"{where}: time slot {slot!r} has no time; align the annotation in ELAN")
        return int(value) / self._per_second


def _document_of(cues: list[Cue], media: str | None) -> ElementTree.Element:
    """The document of cues in order of time, and of the media file that it tells ELAN to open."""
    element, inside = ElementTree.Element, ElementTree.SubElement
    root = element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "taltool",
            "DATE": _DATE,
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    header = inside(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    if media is not None:
        named = {"MEDIA_URL": media, "MIME_TYPE": "video/mp4" if media.lower().endswith(".mp4") else "unknown"}
        inside(header, "MEDIA_DESCRIPTOR", named)
    inside(header, "PROPERTY", NAME="lastUsedAnnotationId").text = str(len(cues))
    order = inside(root, "TIME_ORDER")
    times = sorted((time, number, end) for number, cue in enumerate(cues) for end, time in enumerate(cue[:2]))
    slots = {}
    for count, (time, number, end) in enumerate(times, start=1):
        slots[number, end] = f"ts{count}"
        inside(order, "TIME_SLOT", TIME_SLOT_ID=f"ts{count}", TIME_VALUE=str(time))
    tiers: list[tuple[int, ElementTree.Element]] = []
    for number, cue in enumerate(cues):
        lane = next((each for each, (busy, _) in enumerate(tiers) if busy <= cue.start), len(tiers))
        if lane == len(tiers):
            name = "segments" if not lane else f"segments {lane + 1}"
            tiers.append((0, inside(root, "TIER", LINGUISTIC_TYPE_REF=_OWN_TYPE, TIER_ID=name)))
        tier = tiers[lane][1]
        tiers[lane] = cue.end, tier
        times_of = {f"TIME_SLOT_REF{end + 1}": slots[number, end] for end in (0, 1)}
        annotation = inside(
            inside(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": f"a{number + 1}", **times_of}
        )
        inside(annotation, "ANNOTATION_VALUE").text = cue.lines[0]
    if not tiers:  # ELAN wants a tier to annotate in.
        inside(root, "TIER", LINGUISTIC_TYPE_REF=_OWN_TYPE, TIER_ID="segments")
    inside(root, "LINGUISTIC_TYPE", GRAPHIC_REFERENCES="false", LINGUISTIC_TYPE_ID=_OWN_TYPE, TIME_ALIGNABLE="true")
    for name, told in _STEREOTYPES.items():
        inside(root, "CONSTRAINT", DESCRIPTION=told, STEREOTYPE=name)
    return root
