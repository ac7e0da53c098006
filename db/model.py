"""Constructors that know their columns: `Bot(nme="x")`, `Bot(name=1)` and a `Bot` without its name are type errors.

    class Base(Model, DeclarativeBase): ...

What a model annotates and assigns nothing to has to be given, and so has what it assigns `required(...)` to; what is
assigned anything else, `= mapped_column()` if need be, may be left out. That goes for what the checker sees: an
`id: Mapped[key]`, where `key = Annotated[int, mapped_column(primary_key=True)]`, needs the `= mapped_column()` too, and
a column of a mixin is `late: Mapped[str] = mapped_column(...)`, because `@declared_attr` is no field to it. It is the
type checker that asks; SQLAlchemy's own constructor runs, and takes some of the columns.
"""

from typing import Any, dataclass_transform

from sqlalchemy.orm import MappedColumn, mapped_column


def required(*arguments: Any, **options: Any) -> MappedColumn[Any]:
    """`mapped_column(...)` of a column that nothing but the application fills: constructors demand it."""
    return mapped_column(*arguments, **options)


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(required,))
class Model:
    """What declarative bases inherit before DeclarativeBase, and mixins of columns."""
