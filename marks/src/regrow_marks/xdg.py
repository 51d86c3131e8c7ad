"""``user.xdg.robots.backup``: the extended attribute of the freedesktop.org proposal (Linux)."""

from regrow_marks import attributes
from regrow_marks.model import ABSENT, FOREIGN, HOLDS, Reading
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow_marks.directory import Directory

ATTRIBUTE = "user.xdg.robots.backup"
VALUE = b"false"

_ABSENT = Reading(ABSENT)  # a scan reads the marks of thousands of directories


class XdgRobots:
    """The answer ``false`` to "may robots back this up?"; borg 2 asks by default."""

    name = "xdg-robots"
    title = ATTRIBUTE

    def read(self, directory: "Directory") -> "Reading":
        """See ``Marker.read``."""
        value = attributes.get(directory.fd, ATTRIBUTE)
        if value is None:
            return _ABSENT
        if value == VALUE:
            return Reading(HOLDS)
        return Reading(FOREIGN, value, f"its value is {value!r}, not {VALUE!r}")

    def set(self, directory: "Directory") -> None:
        """See ``Marker.set``."""
        attributes.put(directory.fd, ATTRIBUTE, VALUE)

    def clear(self, directory: "Directory", previous: "bytes | None" = None) -> bool:
        """See ``Marker.clear``."""
        if previous is None:
            attributes.remove(directory.fd, ATTRIBUTE)
        else:
            attributes.put(directory.fd, ATTRIBUTE, previous)
        return True
