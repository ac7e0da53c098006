"""SQL as the gates look at it: single statements, in one spelling, with the tables they are about.

Not a parser: the words of a statement with strings, function bodies and comments out of the way, which is enough to
recognise DDL. What it does not recognise, the gates call unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)
    | (?P<string>[eE]'(?:[^'\\]|\\.|'')*'|[bBxX]?'(?:[^']|'')*')
    | (?P<body>(?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?P=tag))
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<word>[A-Za-z_][\w$]*|\d[\w.]*)
    | (?P<space>\s+)
    | (?P<sign>::|.)""",
    re.DOTALL | re.VERBOSE,
)
NAME = r'(?:"[^"]*"|[\w$]+)(?:\.(?:"[^"]*"|[\w$]+))*'
IN_BATCHES = "in batches"
"""What a comment says of a statement that is sent a batch a transaction (db.migrations.batches)."""
_BOOKKEEPING = re.compile(r"(?:insert into|update|delete from|create table) (?:[\w$]+\.)?alembic_version\b")


@dataclass(frozen=True)
class Statement:
    """`text` is as it was written; `words` has lower case, single spaces, and no contents of strings."""

    text: str
    words: str
    batched: bool = False

    @property
    def headline(self) -> str:
        """Its beginning, for a message."""
        line = " ".join(self.text.split())
        return line if len(line) <= 120 else f"{line[:117]}..."  # noqa: PLR2004  # a terminal's line


CONTROL = re.compile(r"(?:begin|start transaction|commit|end|rollback|abort|savepoint|release)\b")
"""What begins or ends a transaction."""


def split(sql: str) -> Iterator[Statement]:
    """The statements of `sql`, without those that only frame it (BEGIN, COMMIT) or keep Alembic's books."""
    return (it for it in every(sql) if not CONTROL.match(it.words) and not _BOOKKEEPING.match(it.words))


def every(sql: str) -> Iterator[Statement]:
    """The statements of `sql`."""
    text, words, batched = "", list[str](), False
    for token in _TOKEN.finditer(f"{sql};"):
        kind, value = token.lastgroup, token.group()
        if kind == "tag":
            kind = "body"
        if value == ";" and kind == "sign" and not _in_body(words):
            found = Statement(text.strip(), _joined(words), batched)
            if words:
                yield found
            text, words, batched = "", [], False
            continue
        if kind == "comment":
            batched = batched or value.startswith(f"/* {IN_BATCHES} ")
            continue
        text += value
        if kind == "string":
            words.append("''")
        elif kind == "body":
            words.append("$$")
        elif kind != "space":
            words.append(value if kind == "quoted" else value.lower())


def _in_body(words: list[str]) -> bool:
    """Whether a function's BEGIN ATOMIC was not ended yet: its statements have semicolons too."""
    return "atomic" in words and words.count("end") <= words.count("case")


def _joined(words: list[str]) -> str:
    joined = " ".join(words)
    return re.sub(r" ?(\.|::) ?", r"\1", joined).replace("( ", "(").replace(" )", ")").replace(" ,", ",")


def actions(words: str) -> list[str]:
    """What stands between the commas that are in no parentheses."""
    parts, depth = [""], 0
    for character in words:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def qualified(name: str, app: str) -> str:
    """`name` with its schema, unquoted where that changes nothing; the app's schema is first on the search_path."""
    plain = re.sub(r'"([a-z_][a-z0-9_$]*)"', r"\1", name)
    return plain if "." in plain else f"{app}.{plain}"


TABLE = re.compile(
    rf"create (?:temp |temporary |unlogged )*table (?:if not exists )?(?P<table>{NAME})"
    rf"(?: partition of (?P<parent>{NAME}))?"
)
INDEX = re.compile(
    rf"create (?:unique )?index (?P<concurrently>concurrently )?(?:if not exists )?"
    rf"(?:(?P<index>(?!on ){NAME}) )?on (?:only )?(?P<table>{NAME})"
)
ALTER = re.compile(rf"alter table (?:if exists )?(?:only )?(?P<table>{NAME}) (?:\* )?(?P<actions>.*)")
_REFERENCES = re.compile(rf"(?:constraint (?P<name>{NAME}) (?:(?!constraint).)*?)?references (?P<table>{NAME})")
_NOT_NULL = re.compile(rf"add constraint (?P<name>{NAME}) check \(+(?P<column>{NAME}) is not null\)+")
_VALIDATE = re.compile(rf"validate constraint (?P<name>{NAME})")
_WRITE = re.compile(
    rf"(?:insert into|update(?: only)?|delete from(?: only)?|truncate(?: table)?|merge into) (?P<table>{NAME})"
)
_DROPPED = re.compile(rf"drop (?P<kind>table|index) (?:concurrently )?(?:if exists )?(?P<names>{NAME}(?:, {NAME})*)")


@dataclass
class Schema:
    """What earlier statements made, as far as the gates ask for it; names with their schema."""

    app: str
    tables: set[str] = field(default_factory=set)
    indexes: dict[str, str] = field(default_factory=dict)
    """Tables by index."""
    references: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    """By table and constraint (or a number): the table it refers to, and its definition."""
    not_null: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Table and column by the name of a CHECK that the column is not null."""
    proven: set[tuple[str, str]] = field(default_factory=set)
    """Columns that such a CHECK was validated for: SET NOT NULL then reads no row."""

    def name(self, name: str) -> str:
        return qualified(name, self.app)

    def changed(self, statement: Statement) -> set[str]:
        """The tables that `statement` changes or makes: not those that it only refers to."""
        words = statement.words
        if dropped := _DROPPED.match(words):
            names = [self.name(name) for name in actions(dropped["names"])]
            return {self.indexes.get(name, name) if dropped["kind"] == "index" else name for name in names}
        for pattern in (TABLE, INDEX, ALTER, _WRITE):
            if found := pattern.match(words):
                return {self.name(found["table"])}
        return set()

    def learn(self, statement: Statement) -> None:
        """Take in what `statement` makes."""
        words = statement.words
        if table := TABLE.match(words):
            made = self.name(table["table"])
            self.tables.add(made)
            for part in actions(words.partition("(")[2]):
                self._refer(made, part)
        elif (index := INDEX.match(words)) and index["index"]:
            made = self.name(index["table"])
            schema = made.rpartition(".")[0]
            self.indexes[qualified(index["index"].rpartition(".")[2], schema)] = made
        elif alter := ALTER.match(words):
            table_name = self.name(alter["table"])
            for action in actions(alter["actions"]):
                self._refer(table_name, action)
                if check := _NOT_NULL.match(action):
                    self.not_null[check["name"]] = (table_name, check["column"])
                    if not action.endswith("not valid"):
                        self.proven.add((table_name, check["column"]))
                if (valid := _VALIDATE.match(action)) and valid["name"] in self.not_null:
                    self.proven.add(self.not_null[valid["name"]])

    def _refer(self, table: str, words: str) -> None:
        for found in _REFERENCES.finditer(words):
            constraints = self.references.setdefault(table, {})
            constraints[found["name"] or str(len(constraints))] = (self.name(found["table"]), words)
