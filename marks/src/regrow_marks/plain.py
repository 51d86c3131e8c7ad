"""Named tuples declared as classes, without the start-up time of the typing module.

``import typing`` costs about 3 ms, a third of what ``regrow mark`` may take besides a bare
interpreter, and ``collections.namedtuple`` compiles a function for each class: another 2 ms for the
classes of a command. Type checkers read ``typing.NamedTuple``.
"""

TYPE_CHECKING = False  # type checkers take any name spelled like this for true

_VALUES = 1  # annotationlib.Format.VALUE (PEP 649)

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from operator import itemgetter

    def _fields(namespace):
        """Return the names that a class body annotates; in Python 3.14 a function has them."""
        annotate = namespace.get("__annotate_func__", namespace.get("__annotate__"))
        found = annotate(_VALUES) if annotate else namespace.get("__annotations__", ())
        return tuple(found)

    class _FromAnnotations(type):
        def __new__(meta, name, bases, namespace):
            fields = _fields(namespace)
            defaults = {field: namespace[field] for field in fields if field in namespace}
            getters = {field: property(itemgetter(index)) for index, field in enumerate(fields)}
            own = {
                "__slots__": (),
                "_fields": fields,
                "_field_defaults": defaults,
                "_last_values": tuple(defaults.values()),  # fields with a default stand last
            }
            return super().__new__(meta, name, bases, {**namespace, **getters, **own})

    class NamedTuple(tuple, metaclass=_FromAnnotations):
        """Stands in for ``typing.NamedTuple``; fields are the class's annotations."""

        def __new__(cls, *values, **named):
            """Take the fields' values by position, by name, or from the class."""
            missing, last = len(cls._fields) - len(values), cls._last_values
            if not named and 0 <= missing <= len(last):
                return tuple.__new__(cls, values + last[len(last) - missing :])
            defaults = cls._field_defaults
            try:
                rest = [
                    named.pop(field) if field in named else defaults[field]
                    for field in cls._fields[len(values) :]
                ]
            except KeyError as error:
                raise TypeError(f"{cls.__name__}: {error} is missing") from None
            if named or len(values) > len(cls._fields):
                raise TypeError(f"{cls.__name__}: more than {', '.join(cls._fields)}")
            return tuple.__new__(cls, (*values, *rest))

        @classmethod
        def _make(cls, values):
            return cls(*values)

        def _replace(self, **named):
            return self.__class__(**{**self._asdict(), **named})

        def _asdict(self):
            return dict(zip(self._fields, self))

        def __repr__(self):
            items = (f"{field}={value!r}" for field, value in self._asdict().items())
            return f"{self.__class__.__name__}({', '.join(items)})"

        def __getnewargs__(self):
            return tuple(self)
