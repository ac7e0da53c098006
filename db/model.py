"""Constructors that know their columns: `Bot(nme="x")`, `Bot(name=1)` and a `Bot` without its name are type errors.

    class Base(Model, DeclarativeBase): ...

What a model annotates and assigns nothing to has to be given, so that a column that may be left out says so:
`= mapped_column()`. It is the type checker that asks; SQLAlchemy's own constructor runs, and takes some of the columns.
"""

from typing import dataclass_transform


@dataclass_transform(kw_only_default=True, eq_default=False)
class Model:
    """What declarative bases inherit before DeclarativeBase, and mixins of columns."""
