"""ELAN: what it and pympi write is read, and what is written keeps ELAN's rules."""

from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from taltool.data.convert import convert
from taltool.data.formats.contract import Annotations, FormatOptions
from taltool.data.formats.sniffing import format_named, open_content
from taltool.errors import DataError

# What pympi-ling 1.71 wrote for a video that begins half a second into the annotations' time, its sound, two tiers of
# which the second depends on the first, and one without annotations; by hand blanks were taken out, the media files
# exchanged, and the slot ts6 added.
THEIRS = """<?xml version='1.0' encoding='UTF-8'?>
<ANNOTATION_DOCUMENT AUTHOR="x" DATE="2026-11-30T19:58:37+00:00" VERSION="2.8" FORMAT="2.8">
<HEADER>
<MEDIA_DESCRIPTOR MEDIA_URL="/home/me/clips/v_7.wav" MIME_TYPE="audio/x-wav" />
<MEDIA_DESCRIPTOR MEDIA_URL="/home/me/clips/v_7 b.mp4" RELATIVE_MEDIA_URL="./v_7 b.mp4" MIME_TYPE="video/mp4"
 TIME_ORIGIN="500" />
</HEADER>
<TIME_ORDER>
<TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1000" /><TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="2500" />
<TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="3000" /><TIME_SLOT TIME_SLOT_ID="ts5" TIME_VALUE="3500" />
<TIME_SLOT TIME_SLOT_ID="ts6" />
</TIME_ORDER>
<TIER TIER_ID="default" LINGUISTIC_TYPE_REF="default-lt" />
<TIER TIER_ID="acts" LINGUISTIC_TYPE_REF="default-lt">
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
<ANNOTATION_VALUE>run </ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts4" TIME_SLOT_REF2="ts5">
<ANNOTATION_VALUE>swim &amp; dive</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
</TIER>
<TIER TIER_ID="note" LINGUISTIC_TYPE_REF="ref" PARENT_REF="acts">
<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a4" ANNOTATION_REF="a2">
<ANNOTATION_VALUE>fast</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
</TIER>
<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true" GRAPHIC_REFERENCES="false" />
</ANNOTATION_DOCUMENT>
"""


# A second part of what the first annotation is about: how long either is nobody says.
SECOND = """</REF_ANNOTATION></ANNOTATION><ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a5" ANNOTATION_REF="a2">
<ANNOTATION_VALUE>slow</ANNOTATION_VALUE></REF_ANNOTATION>"""


def read(path: Path, **options: Any) -> tuple[str, list[tuple[float, float, str]], list[str]]:
    """The id of the video, its segments, and what was left out."""
    with open_content(str(path), options=FormatOptions(**options)) as content:
        assert isinstance(content, Annotations)
        ((video_id, entry),) = content.entries
        return video_id, [(*each["segment"], each["label"]) for each in entry["annotations"]], content.notes


def test_one_tier_is_read_in_the_time_of_the_video(tmp_path: Path) -> None:
    path = tmp_path / "by_ann.eaf"
    path.write_text(THEIRS)
    with pytest.raises(DataError, match=r"2 tiers have segments: 'acts' \(2\), 'note' \(1\); say which with --tier"):
        read(path)
    # Half a second later, since the video is half a second in when the annotations begin.
    acts = [(1.5, 3.0, "run"), (3.5, 4.0, "swim & dive")]
    assert read(path, tiers=("acts",)) == (
        "v_7 b",
        acts,
        ["1 further media files", "the name 'by_ann' of the file (its media file names the video: 'v_7 b')"],
    )
    # What depends on another annotation has its times.
    assert read(path, tiers=("note",))[1] == [(1.5, 3.0, "fast")]
    assert read(path, tiers=("note", "acts"))[1] == [*acts, (1.5, 3.0, "fast")]


def test_names_of_tiers_are_labels_where_the_user_says_so(tmp_path: Path) -> None:
    path = tmp_path / "v.eaf"
    path.write_text(THEIRS.replace(">run <", "><"))
    with pytest.raises(
        DataError, match=r"annotation a2 of tier 'acts': no text; write the label there, or .* --tier-labels"
    ):
        read(path, tiers=("acts",))
    assert read(path, tiers=("acts",), tier_labels=True)[1] == [(1.5, 3.0, "acts"), (3.5, 4.0, "acts")]
    assert [label for *_, label in read(path, tier_labels=True)[1]] == ["acts", "acts", "note"]


@pytest.mark.parametrize(("unit", "start"), [("milliseconds", 1.5), ("PAL-frames", 40.5), ("NTSC-frames", 33.8666667)])
def test_times_are_in_the_unit_that_the_header_names(unit: str, start: float, tmp_path: Path) -> None:
    (tmp_path / "v.eaf").write_text(THEIRS.replace("<HEADER>", f'<HEADER TIME_UNITS="{unit}">'))
    assert read(tmp_path / "v.eaf", tiers=("note",))[1][0][0] == pytest.approx(start)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("<HEADER>", '<HEADER TIME_UNITS="weeks">', "times are in 'weeks'"),
        ('TIME_ORIGIN="500"', 'TIME_ORIGIN="soon"', "TIME_ORIGIN 'soon' of a media file"),
        ('REF2="ts3"', 'REF2="ts6"', "annotation a4 of tier 'note': time slot 'ts6' has no time; align"),
        ('REF2="ts3"', 'REF2="ts9"', "time slot 'ts9' has no time"),
        ('TIME_VALUE="1000"', 'TIME_VALUE="now"', "time slot 'ts2' has no time"),
        ('ANNOTATION_REF="a2"', 'ANNOTATION_REF="a4"', "has no time of its own"),
        ('ANNOTATION_REF="a2"', 'ANNOTATION_REF="a9"', "time slot None has no time"),
        ('ANNOTATION_REF="a2"', 'ANNOTATION_REF="a2" PREVIOUS_ANNOTATION="a3"', "has no time of its own"),
        ('TIME_VALUE="2500"', 'TIME_VALUE="10"', "ends before it starts .use --drop-invalid"),
        ('TIER_ID="note"', 'TIER_ID="other"', "no tier 'note' with segments"),
        ("</REF_ANNOTATION>", SECOND, "annotation a4 of tier 'note': shares the time of annotation a2 with others"),
        ("</TIER>", "", r":\d+: not XML .* cut short"),
        ("ANNOTATION_DOCUMENT", "DOCUMENT", r"expected <ANNOTATION_DOCUMENT>, found <DOCUMENT>"),
    ],
)
def test_what_is_broken_is_refused_with_its_place(old: str, new: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "v.eaf").write_text(THEIRS.replace(old, new))
    with (
        pytest.raises(DataError, match=rf"v\.eaf.*{complaint}"),
        open_content(str(tmp_path / "v.eaf"), "elan", FormatOptions(tiers=("note",))),
    ):
        pass


def written(path: Path, rows: list[tuple[float, float, str]], **options: Any) -> ElementTree.Element:
    segments = [{"segment": [start, end], "label": label} for start, end, label in rows]
    content = Annotations([("v", {"annotations": segments})])
    format_named("elan").write(content, str(path), FormatOptions(**options))
    return ElementTree.parse(path).getroot()


OVERLAPPING = [(1.0, 4.0, "a"), (2.0, 3.0, "b <&>"), (3.0, 3.5, "a"), (2.5, 5.0, "a"), (4.0, 4.0, "b <&>")]


def test_no_two_annotations_of_a_tier_overlap(tmp_path: Path) -> None:
    root = written(tmp_path / "v.eaf", OVERLAPPING)
    slots = {each.get("TIME_SLOT_ID"): int(each.get("TIME_VALUE", "")) for each in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    assert len(slots) == 10  # Each annotation has its own: ELAN moves those that share one together.
    count = 0
    for tier in root.iter("TIER"):
        spans = [
            (slots[each.get("TIME_SLOT_REF1")], slots[each.get("TIME_SLOT_REF2")])
            for each in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
        assert all(start < end for start, end in spans)
        count += len(spans)
    assert count == 5
    assert sorted(read(tmp_path / "v.eaf")[1]) == sorted([*OVERLAPPING[:4], (4.0, 4.001, "b <&>")])


def test_a_written_file_has_what_elan_needs_to_open_and_edit_it(tmp_path: Path) -> None:
    root = written(tmp_path / "v.eaf", OVERLAPPING)
    assert [each.tag for each in root if each.tag not in ("TIER", "CONSTRAINT")] == [
        "HEADER",
        "TIME_ORDER",
        "LINGUISTIC_TYPE",
    ]
    types = {each.get("LINGUISTIC_TYPE_ID"): each.get("TIME_ALIGNABLE") for each in root.iter("LINGUISTIC_TYPE")}
    assert {types[each.get("LINGUISTIC_TYPE_REF")] for each in root.iter("TIER")} == {"true"}
    assert root.findtext("HEADER/PROPERTY[@NAME='lastUsedAnnotationId']") == "5"
    ids = [each.get("ANNOTATION_ID") for each in root.iter("ALIGNABLE_ANNOTATION")]
    assert sorted(ids) == ["a1", "a2", "a3", "a4", "a5"]  # type: ignore[type-var]
    assert root.find("HEADER/MEDIA_DESCRIPTOR") is None
    empty = written(tmp_path / "empty.eaf", [])
    assert len(list(empty.iter("TIER"))) == 1


def test_a_media_file_is_named_by_option_and_names_the_video(tmp_path: Path) -> None:
    root = written(tmp_path / "other name.eaf", [(1.0, 2.0, "a")], media="../videos/{}.mp4")
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    assert media is not None
    assert media.attrib == {"MEDIA_URL": "../videos/v.mp4", "MIME_TYPE": "video/mp4"}
    assert read(tmp_path / "other name.eaf")[0] == "v"


@pytest.mark.parametrize("label", ["a\x01", "a\ufffe", "", " a", "a\nb"])
def test_a_label_that_no_annotation_holds_is_refused(label: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"v\.eaf: label .* (no XML file holds|does not fit)"):
        written(tmp_path / "v.eaf", [(1.0, 2.0, label)])
    assert list(tmp_path.iterdir()) == []


def test_several_files_become_one_ground_truth(tmp_path: Path) -> None:
    for video_id in ("x", "y"):
        written(tmp_path / f"{video_id}.eaf", [(1.0, 2.0, video_id)])
    done = convert(tmp_path / "x.eaf", tmp_path / "y.eaf", output=tmp_path / "gt.csv")
    assert done.lost == ()
    assert (tmp_path / "gt.csv").read_text().splitlines()[1:] == ["x,1.0,2.0,x", "y,1.0,2.0,y"]
