"""The table of backup programs, and which of them leave a path out."""

from __future__ import annotations

from regrow_marks import Exclusion, effect, markers, programs


def test_every_program_can_be_named_and_states_markers_that_exist() -> None:
    assert list(programs.names()) == sorted(programs.names())
    for program in programs.PROGRAMS:
        assert programs.program(program.name) is program
        assert program.honours
        assert program.honours.keys() <= set(markers.NAMES)


def test_an_attribute_above_a_mounted_volume_does_not_cover_it_for_time_machine() -> None:
    program = programs.program("time-machine")
    above = effect.Mark("time-machine", "/Volumes", same_volume=False)
    nearer = effect.Mark("time-machine", "/Volumes/disk", same_volume=True)
    assert effect.exclusion(program, [above]) is None
    assert effect.exclusion(program, [nearer, above]) == Exclusion("time-machine", "/Volumes/disk")
    assert effect.exclusion(programs.program("borg2"), [above]) is not None
