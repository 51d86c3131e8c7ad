"""Named tuples declared as classes, without the start-up time of the typing module.

``import typing`` costs about 3 ms, a third of what ``regrow mark`` may take beside a bare
interpreter. Type checkers read ``typing.NamedTuple``; at run time the class here does the same
with ``collections.namedtuple``.
"""

TYPE_CHECKING = False  # type checkers take any name spelled like this for true

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from collections import namedtuple

    class _FromAnnotations(type):
        def __new__(meta, name, bases, namespace):
            if not bases:
                return super().__new__(meta, name, bases, namespace)
            fields = namespace.get("__annotations__", {})
            defaults = [namespace.pop(field) for field in fields if field in namespace]
            made = namedtuple(name, fields, defaults=defaults, module=namespace["__module__"])
            return type(name, (made,), {**namespace, "__slots__": ()})

    class NamedTuple(metaclass=_FromAnnotations):
        """Stands in for ``typing.NamedTuple``; fields are the class's annotations."""
